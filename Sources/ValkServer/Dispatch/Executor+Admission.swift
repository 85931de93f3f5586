// Whether a command may run: everything that is not the plain case. Order and words are Redis's.

import Synchronization
import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP

extension Executor {
    enum Admission { case run, refused, queued, paused }

    @inline(never)
    func admit(
        _ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>, _ index: Int, _ arguments: ArgumentList,
        _ reply: ReplyWriter
    ) -> Admission {
        let flags = entries[index].flags
        if flags.contains(.protected) && !debugAllowed(connection) {
            refuse(connection, index, Self.protectedText, reply)
            return .refused
        }
        if !s.pointee.flags.contains(.authenticated) && !flags.contains(.noAuth) && !server.users.isOpen {
            refuse(connection, index, "NOAUTH Authentication required.", reply)
            return .refused
        }
        let inMulti = s.pointee.flags.contains(.multi)
        if inMulti && flags.contains(.noMulti) {
            refuse(connection, index, "ERR Command not allowed inside a transaction", reply)
            return .refused
        }
        if let denial = denial(connection, index, arguments) {
            noteDenial(denial, connection, index, arguments, inMulti ? .multi : .toplevel)
            refuse(connection, index, refusal(denial, index), reply)
            return .refused
        }
        if s.pointee.flags.contains(.subscribed) && s.pointee.version == 2 && !server.runsWhileSubscribed[index] {
            refuse(
                connection, index,
                "ERR Can't execute '\(table.fullNames[index])': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
                    + "RESET are allowed in this context", reply)
            return .refused
        }
        let conditions = gate.conditions
        if !conditions.isDisjoint(with: [.outOfMemory, .evicting]) {
            switch admitOverLimit(connection, index, arguments, conditions) {
            case .refused:
                refuse(connection, index, Self.outOfMemoryText, reply)
                return .refused
            case .paused: return .paused
            case .run, .queued: break
            }
        }
        if !conditions.isDisjoint(with: [.pauseAll, .pauseWrites, .stopping]) {
            if conditions.contains(.pauseAll) { return .paused }
            let isHeld =
                isHeldWithWrites(index, arguments)
                || index == execIndex && connection.transaction?.isHeldWithWrites == true
            if conditions.contains(.pauseWrites) && isHeld { return .paused }
        }
        if !conditions.isDisjoint(with: [.busyScript, .busyFunction]) && !flags.contains(.allowBusy) {
            refuse(connection, index, Self.busyText(conditions), reply)
            return .refused
        }
        if s.pointee.flags.contains(.tracking) { noteReads(connection, index, arguments) }
        if inMulti && !server.runsInsideMulti[index] {
            queue(connection, index, arguments)
            reply.simple("QUEUED")
            return .queued
        }
        return .run
    }

    /// Whether CLIENT PAUSE WRITE holds the command back: it writes, or tells others something, or runs a script that
    /// may.
    private func isHeldWithWrites(_ index: Int, _ arguments: ArgumentList) -> Bool {
        let flags = entries[index].flags
        return !flags.isDisjoint(with: [.write, .mayReplicate])
            || flags.contains(.runsScripts) && mayWrite(index, arguments)
    }

    static let outOfMemoryText = "OOM command not allowed when used memory > 'maxmemory'."

    /// Whether a command may run while the limit on stored data is exceeded.
    private func admitOverLimit(
        _ connection: Connection, _ index: Int, _ arguments: ArgumentList, _ conditions: ServerGate.Conditions
    ) -> Admission {
        let flags = entries[index].flags
        let isExec = index == execIndex
        let queues = connection.inTransaction && !server.runsInsideMulti[index]
        let transaction = isExec ? connection.transaction : nil
        let stores =
            flags.contains(.denyoom) || transaction?.storesMore == true
            || flags.contains(.runsScripts) && scriptStoresMore(index, arguments)
        if conditions.contains(.outOfMemory) { return stores || queues ? .refused : .run }
        if queues { return .run }
        let mayStore = stores || transaction?.hasScripts == true || flags.contains(.runsScripts)
        return mayStore && (!flags.contains(.runsScripts) || mayWrite(index, arguments)) ? .paused : .run
    }

    static func busyText(_ conditions: ServerGate.Conditions) -> String {
        "BUSY Redis is busy running a script. You can only call "
            + (conditions.contains(.busyScript) ? "SCRIPT" : "FUNCTION") + " KILL or SHUTDOWN NOSAVE."
    }

    private static let protectedText = """
        ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a \
        local connection, otherwise you need to set this option in the configuration file, and then restart the server.
        """

    private func debugAllowed(_ connection: Connection) -> Bool {
        switch server.settings.debugCommand.load(ordering: .relaxed) {
        case 0: false
        case 1: true
        default: connection.isLocal
        }
    }

    private func queue(_ connection: Connection, _ index: Int, _ arguments: ArgumentList) {
        let transaction = connection.transaction ?? Transaction(server.watches)
        connection.transaction = transaction
        transaction.append(index, arguments)
        let flags = entries[index].flags
        if !flags.isDisjoint(with: [.write, .mayReplicate])
            || flags.contains(.runsScripts) && !flags.contains(.readonly)
        {
            transaction.hasWrites = true
        }
        if isHeldWithWrites(index, arguments) { transaction.isHeldWithWrites = true }
        if flags.contains(.denyoom) || flags.contains(.runsScripts) && scriptStoresMore(index, arguments) {
            transaction.storesMore = true
        }
        if flags.contains(.runsScripts) { transaction.hasScripts = true }
        if flags.contains(.lengthy) { transaction.isLengthy = true }
    }

    // MARK: Refusals

    /// Refuses a command before it runs: a transaction under way is broken, EXEC itself ends it.
    @inline(never)
    func refuse(_ connection: Connection, _ index: Int, _ text: String, _ reply: ReplyWriter) {
        if index >= 0 { counters.addRejected(index) }
        if index >= 0 && index == execIndex {
            connection.discardTransaction()
            let plain = text.hasPrefix("ERR ") ? String(text.dropFirst(4)) : text
            reply.error("EXECABORT Transaction discarded because of: \(plain)")
            return counters.addError(.execabort)
        }
        if connection.inTransaction { connection.set(.transactionBroken, true) }
        reply.error(text)
        var copy = text
        let code = copy.withUTF8 { ErrorCode(of: ByteView(UnsafeRawBufferPointer($0))) }
        counters.addError(code)
    }

    /// `index` -1: no such command, -2: no such subcommand.
    @inline(never)
    func refuseUnknown(_ connection: Connection, _ arguments: ArgumentList, _ index: Int, _ reply: ReplyWriter) {
        var text = ByteBuffer(capacity: 320)
        /// At most `limit` bytes, and only those before a NUL.
        func show(_ view: ByteView, _ limit: Int) {
            var end = 0
            while end < min(limit, view.count), view[end] != 0 { end += 1 }
            text.append(view[0..<end])
        }
        if index == -2 {
            text.append("ERR unknown subcommand '" as StaticString)
            show(arguments[1], 128)
            text.append("'. Try " as StaticString)
            text.append(arguments[0].string.uppercased())
            text.append(" HELP." as StaticString)
        } else {
            text.append("ERR unknown command '" as StaticString)
            show(arguments[0], 128)
            text.append("', with args beginning with: " as StaticString)
            let begin = text.count
            for i in 1..<max(1, arguments.count) where text.count - begin < 128 {
                text.append(UInt8(ascii: "'"))
                show(arguments[i], 128 - (text.count - 1 - begin))
                text.append("' " as StaticString)
            }
        }
        if connection.inTransaction { connection.set(.transactionBroken, true) }
        reply.error(bytes: text.view)
        counters.addError(.err)
    }

    /// Answers a fault of the store in place of the reply. The context is between transactions.
    func explain(_ error: Interruption, _ index: Int) {
        if error == .damaged || error == .readFailed { server.store.reportTableFaults() }
        switch error {
        case .wouldBlock: context.fail("ERR the data is not in memory and this command may not wait for it")
        case .damaged: context.fail("ERR stored data is damaged and cannot be read; the server's log names the file")
        case .readFailed: context.fail("IOERR reading from the disk failed; the server's log has the reason")
        case .writesStopped:
            context.fail(
                "MISCONF Errors writing to the log: no more writes are accepted until the server is restarted; the "
                    + "server's log has the reason")
        case .noSpace: context.fail("MISCONF No space left on the disk: the write was refused")
        }
    }
}
