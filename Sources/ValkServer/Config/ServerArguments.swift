// The server's arguments, read as redis-server reads its own: an optional file first, `-` for standard input first or
// last, then `--name value …`, which become lines that are read after the file and after standard input, so that the
// last word wins.

import Glibc

package struct ServerArguments: Sendable {
    package enum Request: Sendable, Equatable { case run, version, help }

    package var request: Request = .run
    package var file: String?
    package var readsStandardInput = false
    /// Directives from the command line, as lines of a file.
    package var lines: [[UInt8]] = []

    /// `arguments` without the program's name.
    package init(_ arguments: [String]) {
        if arguments.contains(where: { $0 == "--version" || $0 == "-v" }) && arguments.count == 1 {
            request = .version
            return
        }
        if arguments.count == 1 && (arguments[0] == "--help" || arguments[0] == "-h") {
            request = .help
            return
        }
        var at = 0
        if let first = arguments.first, !first.hasPrefix("-") {
            file = first
            at = 1
        }
        // A name may follow only when the one before has a value: `--requirepass --secret` sets a strange password.
        var mayBeName = true
        while at < arguments.count {
            let argument = arguments[at]
            let isLast = at == arguments.count - 1
            if argument == "-" && (at == 0 || isLast) {
                readsStandardInput = true
            } else if mayBeName && argument.hasPrefix("--") {
                lines.append(Array(argument.dropFirst(2).utf8) + [0x20])
                let parts = ConfigWords.split(Array(argument.utf8)) ?? []
                mayBeName = parts.count != 1
                if parts.count == 1 && argument.lowercased() == "--save" {
                    // An empty list of save points, as scripts that join an array produce it.
                    if isLast || arguments[at + 1].hasPrefix("--") {
                        lines[lines.count - 1] += Array("\"\"".utf8)
                        mayBeName = true
                    }
                }
            } else {
                if lines.isEmpty { lines.append([]) }
                lines[lines.count - 1] += ConfigWords.quote(Array(argument.utf8)) + [0x20]
                mayBeName = true
            }
            at += 1
        }
    }

    package static func usage(program: String) -> String {
        """
        Usage: \(program) [/path/to/valk.conf] [--directive value ...] [-]
               \(program) -                  (settings from standard input)
               \(program) --version | -v
               \(program) --help | -h

        The file has redis.conf syntax; an existing redis.conf works. Directives given here win over the file.

        Examples:
               \(program)                                     (port 6379, data in the current directory)
               \(program) /etc/valk/valk.conf
               \(program) --port 7777 --dir /var/lib/valk
               \(program) /etc/valk/valk.conf --appendfsync always --loglevel verbose
               echo 'memory 1gb' | \(program) -
        """
    }
}
