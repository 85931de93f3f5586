// GEOSEARCH, GEOSEARCHSTORE, and the older GEORADIUS and GEORADIUSBYMEMBER with their read-only forms: one request,
// read from the arguments in the order in which Redis reads them, and one search.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum GeoSearchCommands {
    package static func geosearch(_ c: CommandContext) throws(Interruption) { try run(c, .search) }
    package static func geosearchstore(_ c: CommandContext) throws(Interruption) { try run(c, .searchStore) }
    package static func georadius(_ c: CommandContext) throws(Interruption) { try run(c, .radius, mayStore: true) }
    package static func georadiusRO(_ c: CommandContext) throws(Interruption) { try run(c, .radius) }

    package static func georadiusbymember(_ c: CommandContext) throws(Interruption) {
        try run(c, .member, mayStore: true)
    }

    package static func georadiusbymemberRO(_ c: CommandContext) throws(Interruption) { try run(c, .member) }

    enum Form {
        /// GEORADIUS key longitude latitude radius unit …
        case radius
        /// GEORADIUSBYMEMBER key member radius unit …
        case member
        case search
        case searchStore

        var isSearch: Bool { self == .search || self == .searchStore }
    }

    // MARK: Searching

    private struct Place {
        let member: [UInt8]
        let score: Double
        let point: GeoPoint
        /// Metres.
        let distance: Double
    }

    private static func run(_ c: CommandContext, _ form: Form, mayStore: Bool = false) throws(Interruption) {
        let source = c.args[form == .searchStore ? 2 : 1]
        guard let set = try c.collection(source, .sortedSet) else { return }
        guard let request = try GeoRequest(c, form, set, mayStore: mayStore) else { return }
        if let target = request.target, !c.canStore(c.args[target]) { return }
        var places: [Place] = []
        // Without a key nothing was looked up for a member, so that there may be no area.
        if set.isThere, let area = request.area {
            places = try find(c, set, area, limit: request.isAny ? request.count : nil)
        }
        switch request.order {
        case .ascending: places.sort { $0.distance < $1.distance }
        case .descending: places.sort { $0.distance > $1.distance }
        case .none: break
        }
        if let count = request.count, places.count > count { places.removeLast(places.count - count) }
        if let target = request.target {
            try store(c, places, request, at: c.args[target], form.isSearch ? .geosearchstore : .georadiusstore)
        } else {
            answer(c, places, request)
        }
    }

    /// The places of an area, no more than `limit`.
    private static func find(
        _ c: CommandContext, _ set: borrowing Collection, _ area: GeoArea, limit: Int?
    ) throws(Interruption) -> [Place] {
        var places: [Place] = []
        for range in area.ranges() {
            var walk = try SortedSetElements.walk(
                c, set, from: ScoreCoding.encode(Double(range.lowerBound)),
                to: ScoreCoding.encode(Double(range.upperBound)))
            try walk.seekToFirst()
            while walk.isValid {
                let (score, member) = walk.scored
                let point = GeoHash.decode(score: score)
                if let distance = area.distance(to: point) {
                    places.append(Place(member: member.array, score: score, point: point, distance: distance))
                    if places.count == limit { return places }
                }
                try walk.next()
            }
        }
        return places
    }

    // MARK: Results

    private static func store(
        _ c: CommandContext, _ places: [Place], _ request: GeoRequest, at target: ByteView, _ event: KeyEvent
    ) throws(Interruption) {
        var members = ScoredList()
        for place in places {
            place.member.withView {
                members.append($0, request.storesDistance ? place.distance / request.unit : place.score)
            }
        }
        try SortedSetRangeCommands.store(c, members, at: target, event)
    }

    private static func answer(_ c: CommandContext, _ places: [Place], _ request: GeoRequest) {
        let extras = (request.withDistance ? 1 : 0) + (request.withHash ? 1 : 0) + (request.withPosition ? 1 : 0)
        c.reply.array(places.count)
        for place in places {
            if extras > 0 { c.reply.array(1 + extras) }
            place.member.withView { c.reply.bulk($0) }
            if request.withDistance { c.reply(distance: place.distance / request.unit) }
            if request.withHash { c.reply.integer(Int64(place.score)) }
            if request.withPosition { c.reply(position: place.point) }
        }
    }
}
