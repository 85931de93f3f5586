// Places: numbers and back, and searches against looking at every place.

import Testing
import ValkBase
import ValkData
import ValkEngine
import ValkTestSupport

@testable import ValkCommands

@Suite struct GeoTests {
    private func point(_ random: inout SeededRandom) -> GeoPoint {
        // Some at the edges of the map, some close together.
        switch random.below(6) {
        case 0: return GeoPoint(longitude: random.oneIn(2) ? 179.99 : -179.99, latitude: Double(random.below(170)) - 85)
        case 1:
            return GeoPoint(longitude: Double(random.below(360)) - 180, latitude: random.oneIn(2) ? 85.0 : -85.0)
        case 2:
            return GeoPoint(
                longitude: 10 + Double(random.below(1000)) / 1000, latitude: 50 + Double(random.below(1000)) / 1000)
        default:
            return GeoPoint(
                longitude: Double(random.below(360_000)) / 1000 - 180,
                latitude: Double(random.below(170_000)) / 1000 - 85)
        }
    }

    @Test func numbersLeadBackToTheirPlaces() {
        let seed = TestSeed("places and numbers").value
        var random = SeededRandom(seed: seed)
        for _ in 0..<10_000 {
            let place = point(&random)
            let number = GeoHash.encode(place)
            #expect(number < 1 << 52, "seed \(seed)")
            let back = GeoHash.decode(number)
            #expect(abs(back.longitude - place.longitude) < 360.0 / Double(1 << 26), "seed \(seed)")
            #expect(abs(back.latitude - place.latitude) < 171.0 / Double(1 << 26), "seed \(seed)")
            #expect(GeoHash.encode(back) == number, "seed \(seed)")
        }
    }

    @Test func searchesMissNothing() {
        let seed = TestSeed("searches for places").value
        var random = SeededRandom(seed: seed)
        let numbers = (0..<3000).map { _ in GeoHash.encode(point(&random)) }
        for _ in 0..<400 {
            let size = [10.0, 1000, 50_000, 300_000, 2_000_000, 9_000_000, 15_000_000][random.below(7)]
            let other = [10.0, 40_000, 700_000, 12_000_000][random.below(4)]
            let area = GeoArea(
                center: GeoHash.decode(GeoHash.encode(point(&random))),
                shape: random.oneIn(2) ? .circle(radius: size) : .box(width: size, height: other))
            let ranges = area.ranges()
            #expect(ranges.count <= 16)
            for (i, range) in ranges.enumerated() {
                for later in ranges[(i + 1)...] { #expect(!range.overlaps(later), "seed \(seed)") }
            }
            for number in numbers where area.distance(to: GeoHash.decode(number)) != nil {
                #expect(ranges.contains { $0.contains(number) }, "\(area), \(number), seed \(seed)")
            }
        }
    }

    @Test func searchesOfASortedSetAnswerTheNearestFirst() throws {
        let h = try Harness()
        for i in 0..<200 { h.run("GEOADD", "g", "\(10 + i % 20)", "\(40 + i / 20)", "p\(i)") }
        #expect(
            h.run("GEOSEARCH", "g", "FROMLONLAT", "12.1", "43.2", "BYRADIUS", "90", "km", "ASC")
                == "[\"p62\" \"p63\" \"p82\"]")
        #expect(h.run("GEOSEARCH", "g", "FROMMEMBER", "p62", "BYBOX", "1", "1", "m") == "[\"p62\"]")
        #expect(h.run("GEOSEARCHSTORE", "d", "g", "FROMLONLAT", "15", "45", "BYRADIUS", "20000", "km") == ":200")
        #expect(h.run("ZCARD", "d") == ":200")
        #expect(h.run("GEODIST", "g", "p0", "p1", "km") == "\"85.2036\"")
    }
}
