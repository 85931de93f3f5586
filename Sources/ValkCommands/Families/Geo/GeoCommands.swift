// Places: members of sorted sets whose scores are numbers of places (GeoHash). Searches are in GeoSearchCommands.
// Replies, errors and their order are those of Redis 7.0.15.

import CValk
import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum GeoCommands {
    /// GEOADD key [NX | XX] [CH] longitude latitude member …
    package static func geoadd(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        var nx = false
        var xx = false
        var ch = false
        var first = 2
        while first < args.count {
            if c.isWord(first, "nx") {
                nx = true
            } else if c.isWord(first, "xx") {
                xx = true
            } else if c.isWord(first, "ch") {
                ch = true
            } else {
                break
            }
            first += 1
        }
        if (args.count - first) % 3 != 0 || nx && xx { return c.failSyntax() }
        for i in stride(from: first, to: args.count, by: 3) {
            guard c.point(i) != nil else { return }
        }
        guard var set = try c.collectionToChange(args[1], .sortedSet) else { return }
        for i in stride(from: first, to: args.count, by: 3) {
            guard c.canBeElement(args[i + 2]) else { return }
        }
        var added = 0
        var updated = 0
        for i in stride(from: first, to: args.count, by: 3) {
            guard let point = c.point(i) else { return }
            let score = Double(GeoHash.encode(point))
            let old = try SortedSetElements.score(c, set, args[i + 2])
            if old == nil ? xx : nx || old == score { continue }
            try SortedSetElements.put(c, &set, args[i + 2], score, old: old)
            if old == nil { added += 1 } else { updated += 1 }
        }
        if added > 0 {
            try c.save(&set, at: args[1], .zadd, changes: added + updated)
        } else if updated > 0 {
            try c.saveElements(&set, at: args[1], .zadd, changes: updated)
        }
        c.reply.integer(ch ? added + updated : added)
    }

    /// GEODIST key member member [M | KM | FT | MI].
    package static func geodist(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        if args.count > 5 { return c.failSyntax() }
        var unit = 1.0
        if args.count == 5 {
            guard let given = c.geoUnit(4) else { return }
            unit = given
        }
        guard let set = try c.collection(args[1], .sortedSet) else { return }
        guard let one = try SortedSetElements.score(c, set, args[2]),
            let other = try SortedSetElements.score(c, set, args[3])
        else { return c.reply.null() }
        c.reply(distance: GeoHash.distance(GeoHash.decode(score: one), GeoHash.decode(score: other)) / unit)
    }

    package static func geohash(_ c: CommandContext) throws(Interruption) {
        try forEachPlace(c, missing: { c.reply.null() }) { point in
            GeoHash.text(point).withView { c.reply.bulk($0) }
        }
    }

    package static func geopos(_ c: CommandContext) throws(Interruption) {
        try forEachPlace(c, missing: { c.reply.nullArray() }) { c.reply(position: $0) }
    }

    /// Answers with what `body` writes for each member.
    private static func forEachPlace(
        _ c: CommandContext, missing: () -> Void, _ body: (GeoPoint) -> Void
    ) throws(Interruption) {
        let args = c.args
        guard let set = try c.collection(args[1], .sortedSet) else { return }
        c.reply.array(args.count - 2)
        for i in 2..<max(2, args.count) {
            if let score = try SortedSetElements.score(c, set, args[i]) {
                body(GeoHash.decode(score: score))
            } else {
                missing()
            }
        }
    }
}

extension CommandContext {
    // MARK: Arguments

    /// Longitude and latitude at `index`; nil after an error reply.
    func point(_ index: Int) -> GeoPoint? {
        guard let longitude = score(index), let latitude = score(index + 1) else { return nil }
        let point = GeoPoint(longitude: longitude, latitude: latitude)
        if GeoHash.isOnTheMap(point) { return point }
        fail("ERR invalid longitude,latitude pair \(fixed(longitude, 6)),\(fixed(latitude, 6))")
        return nil
    }

    /// The metres of a unit; nil after an error reply.
    func geoUnit(_ index: Int) -> Double? {
        if isWord(index, "m") { return 1 }
        if isWord(index, "km") { return 1000 }
        if isWord(index, "ft") { return 0.3048 }
        if isWord(index, "mi") { return 1609.34 }
        fail("ERR unsupported unit provided. please use M, KM, FT, MI")
        return nil
    }

    // MARK: Replies

    private func fixed(_ value: Double, _ digits: Int32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { scratch in
            guard let base = scratch.baseAddress else { return "" }
            let n = Int(valk_format_fixed(value, digits, false, base, 512))
            return ByteView(base: UnsafeRawPointer(base), count: n).string
        }
    }

    /// A distance with four decimals, as a bulk string in both protocols.
    func reply(distance: Double) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { scratch in
            guard let base = scratch.baseAddress else { return }
            let n = Int(valk_format_fixed(distance, 4, false, base, 512))
            reply.bulk(ByteView(base: UnsafeRawPointer(base), count: n))
        }
    }

    /// Longitude and latitude with all the digits that they have.
    func reply(position point: GeoPoint) {
        reply.array(2)
        for value in [point.longitude, point.latitude] {
            withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { scratch in
                guard let base = scratch.baseAddress else { return }
                let n = Int(valk_format_fixed(value, 17, true, base, 512))
                reply.double(text: ByteView(base: UnsafeRawPointer(base), count: n))
            }
        }
    }
}
