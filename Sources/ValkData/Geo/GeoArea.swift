// Circles and boxes on the map: what lies in them, and which numbers of places may lie in them.
//
// A search walks over the ranges that `ranges` names and asks `distance` about each place that it meets there. The
// ranges cover the area's bounding box with cells of one size, the smallest of which a few suffice.

import Glibc

package struct GeoArea: Sendable {
    package enum Shape: Equatable, Sendable {
        /// Metres.
        case circle(radius: Double)
        case box(width: Double, height: Double)
    }

    package let center: GeoPoint
    package let shape: Shape

    package init(center: GeoPoint, shape: Shape) {
        self.center = center
        self.shape = shape
    }

    /// The metres from the center to a place within the area; nil for one outside.
    package func distance(to point: GeoPoint) -> Double? {
        switch shape {
        case .circle(let radius):
            let distance = GeoHash.distance(center, point)
            return distance > radius ? nil : distance
        case .box(let width, let height):
            if GeoHash.distance(latitude: point.latitude, center.latitude) > height / 2 { return nil }
            let level = GeoPoint(longitude: center.longitude, latitude: point.latitude)
            if GeoHash.distance(point, level) > width / 2 { return nil }
            return GeoHash.distance(center, point)
        }
    }

    // MARK: Ranges of numbers

    /// More cells than this are never used.
    private static var cellsMax: Int { 16 }
    /// Degrees that the box is wider than it must be, against rounding.
    private static var margin: Double { 1e-6 }

    /// Half of the height and of the width of the bounding box, in degrees; an infinite width goes around the earth.
    private var reach: (latitude: Double, longitude: Double) {
        let height: Double
        let width: Double
        switch shape {
        case .circle(let radius): (height, width) = (radius, radius)
        case .box(let across, let up): (height, width) = (up / 2, across / 2)
        }
        let latitude = GeoHash.degrees(height / GeoHash.earthRadius) + Self.margin
        // The parallel of the box that is nearest to a pole is the shortest.
        let outermost = min(abs(center.latitude) + latitude, 90)
        let angle = width / GeoHash.earthRadius
        let across = cos(GeoHash.radians(outermost))
        switch shape {
        case .circle:
            if outermost >= 90 || angle >= .pi / 2 { return (latitude, .infinity) }
            let sine = sin(angle) / cos(GeoHash.radians(center.latitude))
            return (latitude, sine >= 1 ? .infinity : GeoHash.degrees(asin(sine)) + Self.margin)
        case .box:
            if angle >= .pi { return (latitude, .infinity) }
            let sine = sin(angle / 2) / across
            return (latitude, sine >= 1 ? .infinity : GeoHash.degrees(2 * asin(sine)) + Self.margin)
        }
    }

    /// Ranges of numbers, apart from each other, in which all places of the area are; the one with the center first.
    package func ranges() -> [Range<UInt64>] {
        var ranges = covering()
        let middle = GeoHash.encode(center)
        if let first = ranges.firstIndex(where: { $0.contains(middle) }) { ranges.swapAt(0, first) }
        return ranges
    }

    private func covering() -> [Range<UInt64>] {
        let reach = self.reach
        let limit = GeoHash.latitudeMax
        let south = max(center.latitude - reach.latitude, -limit)
        let north = min(center.latitude + reach.latitude, limit)
        if south > north { return [] }
        var spans: [(west: Double, east: Double)] = []
        let west = center.longitude - reach.longitude
        let east = center.longitude + reach.longitude
        if reach.longitude >= 180 {
            spans = [(-180, 180)]
        } else if west < -180 {
            spans = [(-180, east), (west + 360, 180)]
        } else if east > 180 {
            spans = [(-180, east - 360), (west, 180)]
        } else {
            spans = [(west, east)]
        }
        for steps in stride(from: GeoHash.steps, through: 1, by: -1) {
            let rows = Self.cells(south, north, limit, steps)
            let columns = spans.map { Self.cells($0.west, $0.east, 180, steps) }
            let count = columns.reduce(0) { $0 + $1.count }
            if rows.count <= Self.cellsMax && rows.count * count <= Self.cellsMax {
                return Self.joined(rows, columns, steps)
            }
        }
        return [0..<UInt64.max]
    }

    /// The cells of an axis, from `-limit` to `limit`, that a stretch of it touches.
    private static func cells(_ low: Double, _ high: Double, _ limit: Double, _ steps: Int) -> ClosedRange<Int> {
        let count = Double(1 << steps)
        func cell(_ value: Double) -> Int { Int(min(max((value + limit) / (2 * limit) * count, 0), count)) }
        return cell(low)...cell(high)
    }

    private static func joined(
        _ rows: ClosedRange<Int>, _ columns: [ClosedRange<Int>], _ steps: Int
    ) -> [Range<UInt64>] {
        let shift = UInt64(2 * (GeoHash.steps - steps))
        var numbers: [UInt64] = []
        for span in columns {
            for column in span {
                for row in rows { numbers.append(GeoHash.interleave(UInt32(row), UInt32(column))) }
            }
        }
        numbers.sort()
        var ranges: [Range<UInt64>] = []
        for number in numbers {
            let range = number << shift..<(number + 1) << shift
            if let last = ranges.last, last.upperBound >= range.lowerBound {
                ranges[ranges.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                ranges.append(range)
            }
        }
        return ranges
    }
}
