// Places as numbers that order by nearness: longitude and latitude, 26 bits of each, alternating, 52 bits in all, which
// a double holds exactly. Cells of the same halvings are ranges of such numbers.
//
// The idea is G. M. Morton's (1966); the world's bounds, the width of the earth and the order of the bits are those of
// Redis, so that scores and distances are the same. The text form is the geohash of G. Niemeyer (2008), whose
// latitudes go up to the poles.

import Glibc
import ValkBase

package struct GeoPoint: Equatable, Sendable {
    package var longitude: Double
    package var latitude: Double

    package init(longitude: Double, latitude: Double) {
        self.longitude = longitude
        self.latitude = latitude
    }
}

package enum GeoHash {
    /// The edges of the Web Mercator map.
    package static var longitudeMax: Double { 180 }
    package static var latitudeMax: Double { 85.05112878 }
    /// Metres.
    static var earthRadius: Double { 6_372_797.560856 }
    /// Halvings of each axis.
    static var steps: Int { 26 }

    /// Whether a place can be stored.
    package static func isOnTheMap(_ point: GeoPoint) -> Bool {
        point.longitude >= -longitudeMax && point.longitude <= longitudeMax && point.latitude >= -latitudeMax
            && point.latitude <= latitudeMax
    }

    // MARK: Numbers

    /// Which of the 2^26 parts of an axis `value` is in.
    private static func part(_ value: Double, _ limit: Double) -> UInt32 {
        UInt32((value + limit) / (2 * limit) * Double(1 << steps))
    }

    /// The number of a place on the map.
    package static func encode(_ point: GeoPoint) -> UInt64 {
        interleave(part(point.latitude, latitudeMax), part(point.longitude, longitudeMax))
    }

    /// The middle of the cell with this number.
    package static func decode(_ bits: UInt64) -> GeoPoint {
        func middle(_ part: UInt32, _ limit: Double) -> Double {
            let low = -limit + Double(part) / Double(1 << steps) * (2 * limit)
            let high = -limit + (Double(part) + 1) / Double(1 << steps) * (2 * limit)
            return min(max((low + high) / 2, -limit), limit)
        }
        return GeoPoint(
            longitude: middle(gather(bits >> 1), longitudeMax), latitude: middle(gather(bits), latitudeMax))
    }

    /// The place that a member's score stands for. Scores that are no numbers of places lie at some edge of the map, at
    /// the one where Redis has them on a machine with 64 bits.
    package static func decode(score: Double) -> GeoPoint {
        if score >= 0 { return decode(score < 0x1p64 ? UInt64(score) : 0) }
        return decode(score > -0x1p63 ? UInt64(bitPattern: Int64(score)) : 1 << 63)
    }

    static func interleave(_ latitude: UInt32, _ longitude: UInt32) -> UInt64 {
        spread(latitude) | spread(longitude) << 1
    }

    /// The bits of a number, each followed by a gap.
    private static func spread(_ value: UInt32) -> UInt64 {
        var x = UInt64(value)
        x = (x | x << 16) & 0x0000_FFFF_0000_FFFF
        x = (x | x << 8) & 0x00FF_00FF_00FF_00FF
        x = (x | x << 4) & 0x0F0F_0F0F_0F0F_0F0F
        x = (x | x << 2) & 0x3333_3333_3333_3333
        return (x | x << 1) & 0x5555_5555_5555_5555
    }

    /// The opposite of `spread`; bits in the gaps do not count.
    private static func gather(_ value: UInt64) -> UInt32 {
        var x = value & 0x5555_5555_5555_5555
        x = (x | x >> 1) & 0x3333_3333_3333_3333
        x = (x | x >> 2) & 0x0F0F_0F0F_0F0F_0F0F
        x = (x | x >> 4) & 0x00FF_00FF_00FF_00FF
        x = (x | x >> 8) & 0x0000_FFFF_0000_FFFF
        return UInt32(truncatingIfNeeded: x | x >> 16)
    }

    // MARK: Text

    /// The eleven characters of a place's geohash. 52 bits fill ten of them and two bits of the last, which Redis does
    /// not use: it is always 0.
    package static func text(_ point: GeoPoint) -> [UInt8] {
        let alphabet: StaticString = "0123456789bcdefghjkmnpqrstuvwxyz"
        let bits = interleave(part(point.latitude, 90), part(point.longitude, longitudeMax))
        return (0..<11).map { i in
            let digit = i == 10 ? 0 : Int(bits >> UInt64(52 - 5 * (i + 1)) & 0x1F)
            return alphabet.utf8Start[digit]
        }
    }

    // MARK: Distances

    static func radians(_ degrees: Double) -> Double { degrees * (Double.pi / 180) }

    static func degrees(_ radians: Double) -> Double { radians / (Double.pi / 180) }

    /// Metres between two parallels.
    static func distance(latitude a: Double, _ b: Double) -> Double { earthRadius * abs(radians(b) - radians(a)) }

    /// Metres between two places, along a great circle of a round earth (haversine formula).
    package static func distance(_ a: GeoPoint, _ b: GeoPoint) -> Double {
        let v = sin((radians(b.longitude) - radians(a.longitude)) / 2)
        if v == 0 { return distance(latitude: a.latitude, b.latitude) }
        let from = radians(a.latitude)
        let to = radians(b.latitude)
        let u = sin((to - from) / 2)
        return 2 * earthRadius * asin(sqrt(u * u + cos(from) * cos(to) * v * v))
    }
}
