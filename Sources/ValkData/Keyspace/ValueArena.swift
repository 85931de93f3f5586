// Memory for values that a command builds (APPEND, SETRANGE, numbers) and that must stay in place until the batch is
// committed. Blocks are bumped through and reused; a block larger than `keptBytes` is given back at the reset.

import Glibc

struct ValueArena: ~Copyable {
    private static let keptBytes = 64 << 10

    private var kept: UnsafeMutableRawPointer?
    private var used = 0
    private var extra: [UnsafeMutableRawPointer] = []

    init() {}

    deinit {
        free(kept)
        for block in extra { free(block) }
    }

    mutating func allocate(_ count: Int) -> UnsafeMutableRawPointer {
        let wanted = (max(count, 1) + 15) & ~15
        if used + wanted <= Self.keptBytes {
            if let kept {
                let at = kept + used
                used += wanted
                return at
            }
            let block = take(Self.keptBytes)
            kept = block
            used = wanted
            return block
        }
        let block = take(wanted)
        extra.append(block)
        return block
    }

    private func take(_ count: Int) -> UnsafeMutableRawPointer {
        guard let block = malloc(count) else { fatalError("out of memory for a value of \(count) bytes") }
        return block
    }

    /// Everything handed out becomes invalid.
    mutating func reset() {
        used = 0
        if !extra.isEmpty {
            for block in extra { free(block) }
            extra.removeAll(keepingCapacity: true)
        }
    }
}
