// What a search for places asks for, read from the arguments of any of the commands.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

struct GeoRequest {
    enum Order {
        case ascending
        case descending
    }

    private var center: GeoPoint?
    private var shape: GeoArea.Shape?
    /// Metres of the unit in which distances are given and answered.
    private(set) var unit = 1.0
    private(set) var order: Order?
    /// How many at most.
    private(set) var count: Int?
    /// Any so many, not the nearest ones.
    private(set) var isAny = false
    private(set) var withDistance = false
    private(set) var withHash = false
    private(set) var withPosition = false
    /// The argument with the key where the result goes.
    private(set) var target: Int?
    private(set) var storesDistance = false

    /// Nil where a member of a key that is not there is the center.
    var area: GeoArea? {
        guard let center, let shape else { return nil }
        return GeoArea(center: center, shape: shape)
    }

    /// `set` is what the searched key holds. Nil after an error reply.
    init?(
        _ c: CommandContext, _ form: GeoSearchCommands.Form, _ set: borrowing Collection, mayStore: Bool
    ) throws(Interruption) {
        let args = c.args
        var first = 2
        switch form {
        case .radius:
            guard let point = c.point(2) else { return nil }
            center = point
            guard circle(c, 4) else { return nil }
            first = 6
        case .member:
            first = 5
            if set.isThere {
                guard try member(c, set, 2), circle(c, 3) else { return nil }
            }
        case .search: break
        case .searchStore:
            first = 3
            target = 1
        }
        var hasOrigin = false
        var hasPoint = false
        var hasArea: Bool?
        var i = first
        while i < args.count {
            let left = args.count - i - 1
            if c.isWord(i, "withdist") {
                withDistance = true
            } else if c.isWord(i, "withhash") {
                withHash = true
            } else if c.isWord(i, "withcoord") {
                withPosition = true
            } else if c.isWord(i, "any") {
                isAny = true
            } else if c.isWord(i, "asc") {
                order = .ascending
            } else if c.isWord(i, "desc") {
                order = .descending
            } else if c.isWord(i, "count"), left >= 1 {
                guard let value = c.integer(i + 1) else { return nil }
                if value <= 0 {
                    c.fail("ERR COUNT must be > 0")
                    return nil
                }
                count = Int(value)
                i += 1
            } else if mayStore, left >= 1, c.isWord(i, "store") || c.isWord(i, "storedist") {
                target = i + 1
                storesDistance = c.isWord(i, "storedist")
                i += 1
            } else if form.isSearch, left >= 1, !hasPoint, c.isWord(i, "frommember") {
                if set.isThere {
                    guard try member(c, set, i + 1) else { return nil }
                }
                hasOrigin = true
                i += 1
            } else if form.isSearch, left >= 2, !hasOrigin || hasPoint, c.isWord(i, "fromlonlat") {
                guard let point = c.point(i + 1) else { return nil }
                center = point
                hasOrigin = true
                hasPoint = true
                i += 2
            } else if form.isSearch, left >= 2, hasArea != false, c.isWord(i, "byradius") {
                guard circle(c, i + 1) else { return nil }
                hasArea = true
                i += 2
            } else if form.isSearch, left >= 3, hasArea != true, c.isWord(i, "bybox") {
                guard box(c, i + 1) else { return nil }
                hasArea = false
                i += 3
            } else if form == .searchStore, c.isWord(i, "storedist") {
                storesDistance = true
            } else {
                c.failSyntax()
                return nil
            }
            i += 1
        }
        guard isSound(c, form, hasOrigin: hasOrigin, hasArea: hasArea != nil) else { return nil }
        if count != nil && order == nil && !isAny { order = .ascending }
    }

    private func isSound(
        _ c: CommandContext, _ form: GeoSearchCommands.Form, hasOrigin: Bool, hasArea: Bool
    ) -> Bool {
        if target != nil && (withDistance || withHash || withPosition) {
            let name = form == .searchStore ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS"
            c.fail("ERR \(name) is not compatible with WITHDIST, WITHHASH and WITHCOORD options")
            return false
        }
        if form.isSearch && !hasOrigin {
            c.fail("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for \(c.args[0].string)")
            return false
        }
        if form.isSearch && !hasArea {
            c.fail("ERR exactly one of BYRADIUS and BYBOX can be specified for \(c.args[0].string)")
            return false
        }
        if isAny && count == nil {
            c.fail("ERR the ANY argument requires COUNT argument")
            return false
        }
        return true
    }

    // MARK: Parts; each is false after an error reply

    private mutating func member(
        _ c: CommandContext, _ set: borrowing Collection, _ index: Int
    ) throws(Interruption) -> Bool {
        guard let score = try SortedSetElements.score(c, set, c.args[index]) else {
            c.fail("ERR could not decode requested zset member")
            return false
        }
        center = GeoHash.decode(score: score)
        return true
    }

    /// `radius unit`.
    private mutating func circle(_ c: CommandContext, _ index: Int) -> Bool {
        guard let radius = c.score(index, "ERR need numeric radius") else { return false }
        if radius < 0 {
            c.fail("ERR radius cannot be negative")
            return false
        }
        guard let unit = c.geoUnit(index + 1) else { return false }
        self.unit = unit
        shape = .circle(radius: radius * unit)
        return true
    }

    /// `width height unit`.
    private mutating func box(_ c: CommandContext, _ index: Int) -> Bool {
        guard let width = c.score(index, "ERR need numeric width"),
            let height = c.score(index + 1, "ERR need numeric height")
        else { return false }
        if width < 0 || height < 0 {
            c.fail("ERR height or width cannot be negative")
            return false
        }
        guard let unit = c.geoUnit(index + 2) else { return false }
        self.unit = unit
        shape = .box(width: width * unit, height: height * unit)
        return true
    }
}
