// Reply buffers of one loop. A connection borrows one for the turns in which it has replies and gives it back when the
// socket has taken them all, so idle connections hold none and busy ones reuse warm memory. Loop thread only.

import ValkBase

struct BufferPool: ~Copyable {
    /// Bytes of a fresh buffer.
    static let bufferBytes = 16 << 10
    /// Larger buffers are kept apart, for those who need them again.
    static let keptBytesMax = 64 << 10
    /// Buffers kept; 128 of 64 KiB are 8 MiB at most.
    static let keptCountMax = 128
    /// Still larger ones are freed; 8 of 1 MiB are 8 MiB at most.
    static let largeBytesMax = 1 << 20
    static let largeCountMax = 8

    private let kept: UnsafeMutablePointer<UnsafeMutablePointer<ByteBuffer>>
    private var count = 0
    private let large: UnsafeMutablePointer<UnsafeMutablePointer<ByteBuffer>>
    private var largeCount = 0

    init() {
        kept = .allocate(capacity: Self.keptCountMax)
        large = .allocate(capacity: Self.largeCountMax)
    }

    deinit {
        for i in 0..<count { Self.destroy(kept[i]) }
        for i in 0..<largeCount { Self.destroy(large[i]) }
        kept.deallocate()
        large.deallocate()
    }

    /// A buffer for replies that will be large: they would make another one grow and be copied, again and again.
    mutating func takeLarge() -> UnsafeMutablePointer<ByteBuffer> {
        if largeCount == 0 { return take() }
        largeCount &-= 1
        return large[largeCount]
    }

    mutating func take() -> UnsafeMutablePointer<ByteBuffer> {
        if count > 0 {
            count &-= 1
            return kept[count]
        }
        let made = UnsafeMutablePointer<ByteBuffer>.allocate(capacity: 1)
        made.initialize(to: ByteBuffer(capacity: Self.bufferBytes))
        return made
    }

    mutating func give(_ buffer: UnsafeMutablePointer<ByteBuffer>, keepsLarge: Bool = true) {
        if buffer.pointee.capacity > Self.keptBytesMax {
            return keepsLarge ? giveLarge(buffer) : Self.destroy(buffer)
        }
        if count == Self.keptCountMax { return Self.destroy(buffer) }
        buffer.pointee.removeAll()
        (kept + count).initialize(to: buffer)
        count &+= 1
    }

    private mutating func giveLarge(_ buffer: UnsafeMutablePointer<ByteBuffer>) {
        if largeCount == Self.largeCountMax || buffer.pointee.capacity > Self.largeBytesMax {
            return Self.destroy(buffer)
        }
        buffer.pointee.removeAll()
        (large + largeCount).initialize(to: buffer)
        largeCount &+= 1
    }

    static func destroy(_ buffer: UnsafeMutablePointer<ByteBuffer>) {
        buffer.deinitialize(count: 1)
        buffer.deallocate()
    }
}

/// A growable list of connections without reference counting: the loop's table keeps them alive until a turn's end.
struct ConnectionList: ~Copyable {
    private var items: UnsafeMutablePointer<Unmanaged<Connection>>
    private var capacity: Int
    private(set) var count = 0

    init() {
        capacity = 64
        items = .allocate(capacity: capacity)
    }

    deinit { items.deallocate() }

    subscript(index: Int) -> Unmanaged<Connection> {
        get { items[index] }
        set { items[index] = newValue }
    }

    mutating func append(_ connection: Connection) {
        if count == capacity {
            let grown = UnsafeMutablePointer<Unmanaged<Connection>>.allocate(capacity: capacity * 2)
            grown.update(from: items, count: count)
            items.deallocate()
            items = grown
            capacity *= 2
        }
        (items + count).initialize(to: Unmanaged.passUnretained(connection))
        count &+= 1
    }

    mutating func removeLast() { count &-= 1 }

    mutating func removeAll() { count = 0 }

    mutating func removeFirst(_ n: Int) {
        items.update(from: items + n, count: count - n)
        count -= n
    }

    mutating func remove(_ connection: Connection) {
        for i in 0..<count where items[i].toOpaque() == Unmanaged.passUnretained(connection).toOpaque() {
            items[i] = items[count - 1]
            count -= 1
            return
        }
    }
}
