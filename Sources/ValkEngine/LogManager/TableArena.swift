// Memory of one sorted table: bump allocation out of 1 MiB chunks that are recycled between tables.
//
// Nothing is freed one by one; the whole arena goes back to the pool when the table is no longer read. Chunks are
// recycled because touching memory that the system took back costs far more than touching memory used a moment ago.
//
// Invariants: 1. allocations are 8-byte aligned and never move; 2. only the holder of the commit lock allocates.

import Glibc
import ValkBase

/// Chunks shared by all tables of a store. Thread-safe.
package final class ChunkPool: @unchecked Sendable {  // All state is behind the lock.
    package static let chunkBytes = 1 << 20
    private let lock = Lock()
    private var free: [UnsafeMutableRawPointer] = []
    /// At most this many idle chunks are kept; more are given back to the system.
    private let idleChunksMax: Int

    package init(idleChunksMax: Int) {
        self.idleChunksMax = idleChunksMax
        free.reserveCapacity(idleChunksMax)
    }

    deinit { for chunk in free { munmap(chunk, ChunkPool.chunkBytes) } }

    func take() -> UnsafeMutableRawPointer {
        if let chunk = lock.withLock({ free.popLast() }) { return chunk }
        // Not from a heap: what is given back goes to the system, whatever lies beside it.
        let chunk = mmap(nil, ChunkPool.chunkBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let chunk, chunk != MAP_FAILED else { preconditionFailure("out of memory for a table chunk") }
        return chunk
    }

    func give(_ chunks: [UnsafeMutableRawPointer]) {
        lock.withLock {
            for chunk in chunks {
                if free.count < idleChunksMax { free.append(chunk) } else { munmap(chunk, ChunkPool.chunkBytes) }
            }
        }
    }

    package var idleBytes: Int { lock.withLock { free.count * ChunkPool.chunkBytes } }
}

/// Owned by one table; see the file header.
struct TableArena: ~Copyable {
    private let pool: ChunkPool
    private var chunks: [UnsafeMutableRawPointer] = []
    private var large: [UnsafeMutableRawPointer] = []
    private var at: UnsafeMutableRawPointer
    private var left = 0
    /// Bytes taken from the system or the pool for this table.
    private(set) var reservedBytes = 0
    /// Bytes handed out.
    private(set) var usedBytes = 0

    init(pool: ChunkPool) {
        self.pool = pool
        at = UnsafeMutableRawPointer(mutating: ByteView.empty.base)
    }

    deinit {
        pool.give(chunks)
        for block in large { free(block) }
    }

    @inline(__always)  // On the path of each write; the slow half is out of line.
    mutating func allocate(_ bytes: Int) -> UnsafeMutableRawPointer {
        let rounded = (bytes &+ 7) & ~7
        if rounded > left { return allocateSlow(rounded) }
        let result = at
        at += rounded
        left &-= rounded
        usedBytes &+= rounded
        return result
    }

    /// Memory that starts on a cache line of its own; for nodes, which are read line by line.
    mutating func allocateLine(_ bytes: Int) -> UnsafeMutableRawPointer {
        let misaligned = Int(bitPattern: at) & 63
        let padding = misaligned == 0 ? 0 : 64 &- misaligned
        if padding &+ bytes <= left {
            at += padding
            left &-= padding
            usedBytes &+= padding
        }
        return allocate(bytes)
    }

    @inline(never)
    private mutating func allocateSlow(_ bytes: Int) -> UnsafeMutableRawPointer {
        usedBytes += bytes
        if bytes > ChunkPool.chunkBytes / 4 {
            guard let block = malloc(bytes) else { preconditionFailure("out of memory for \(bytes) bytes of table") }
            large.append(block)
            reservedBytes += bytes
            return block
        }
        let chunk = pool.take()
        chunks.append(chunk)
        reservedBytes += ChunkPool.chunkBytes
        at = chunk + bytes
        left = ChunkPool.chunkBytes - bytes
        return chunk
    }
}
