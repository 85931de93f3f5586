// Facts about the commands of places: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var geoSpecs: [CommandSpec] {
        [
            geoadd,
            geodist,
            geohash,
            geopos,
            georadius,
            georadiusRO,
            georadiusbymember,
            georadiusbymemberRO,
            geosearch,
            geosearchstore,
        ]
    }

    /// Of distances.
    private static var unit: ArgumentSpec {
        ArgumentSpec(
            "unit", .oneof,
            of: [
                ArgumentSpec("m", .pureToken, token: "M"),
                ArgumentSpec("km", .pureToken, token: "KM"),
                ArgumentSpec("ft", .pureToken, token: "FT"),
                ArgumentSpec("mi", .pureToken, token: "MI"),
            ])
    }

    /// Of a distance, metres by default.
    private static var optionalUnit: ArgumentSpec {
        ArgumentSpec(
            "unit", .oneof, .optional,
            of: [
                ArgumentSpec("m", .pureToken, token: "M"),
                ArgumentSpec("km", .pureToken, token: "KM"),
                ArgumentSpec("ft", .pureToken, token: "FT"),
                ArgumentSpec("mi", .pureToken, token: "MI"),
            ])
    }

    /// How many, and whether the nearest.
    private static var atMost: ArgumentSpec {
        ArgumentSpec(
            "count", .block, .optional,
            of: [
                ArgumentSpec("count", .integer, token: "COUNT"),
                ArgumentSpec("any", .pureToken, .optional, token: "ANY", since: "6.2.0"),
            ])
    }

    /// By distance.
    private static var order: ArgumentSpec {
        ArgumentSpec(
            "order", .oneof, .optional,
            of: [
                ArgumentSpec("asc", .pureToken, token: "ASC"),
                ArgumentSpec("desc", .pureToken, token: "DESC"),
            ])
    }

    static var geoadd: CommandSpec {
        CommandSpec(
            "geoadd", arity: -5, flags: [.write, .denyoom],
            keys: [.at(1, [.rw, .update])],
            categories: [.write, .geo, .slow], since: "3.2.0", group: "geo",
            summary: "Adds places to a sorted set, by longitude and latitude.",
            complexity: "O(M log N), M places into N",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec(
                    "condition", .oneof, .optional, since: "6.2.0",
                    of: [
                        ArgumentSpec("nx", .pureToken, token: "NX"),
                        ArgumentSpec("xx", .pureToken, token: "XX"),
                    ]),
                ArgumentSpec("change", .pureToken, .optional, token: "CH", since: "6.2.0"),
                ArgumentSpec(
                    "longitude_latitude_member", .block, .multiple,
                    of: [
                        ArgumentSpec("longitude", .double),
                        ArgumentSpec("latitude", .double),
                        ArgumentSpec("member", .string),
                    ]),
            ],
            history: [("6.2.0", "CH, NX, XX.")])
    }

    static var geodist: CommandSpec {
        CommandSpec(
            "geodist", arity: -4, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .geo, .slow], since: "3.2.0", group: "geo",
            summary: "Tells how far apart two places are.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("member1", .string),
                ArgumentSpec("member2", .string),
                optionalUnit,
            ])
    }

    static var geohash: CommandSpec {
        CommandSpec(
            "geohash", arity: -2, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .geo, .slow], since: "3.2.0", group: "geo",
            summary: "Tells the geohashes of places.", complexity: "O(N), N places asked about",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("member", .string, .multiple),
            ])
    }

    static var geopos: CommandSpec {
        CommandSpec(
            "geopos", arity: -2, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .geo, .slow], since: "3.2.0", group: "geo",
            summary: "Tells longitude and latitude of places.", complexity: "O(N), N places asked about",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("member", .string, .multiple),
            ])
    }

    static var georadius: CommandSpec {
        CommandSpec(
            "georadius", arity: -6, flags: [.write, .denyoom, .movableKeys],
            keys: [
                .at(1, [.ro, .access]),
                KeySpec(
                    [.ow, .update], begin: .keyword("STORE", startFrom: 6), find: .range(last: 0, step: 1, limit: 0)),
                KeySpec(
                    [.ow, .update], begin: .keyword("STOREDIST", startFrom: 6), find: .range(last: 0, step: 1, limit: 0)
                ),
            ],
            categories: [.write, .geo, .slow], since: "3.2.0", group: "geo",
            summary: "Finds the places around a point.",
            complexity: "O(N + log M), M places, N in the box around the circle",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("longitude", .double),
                ArgumentSpec("latitude", .double),
                ArgumentSpec("radius", .double),
                unit,
                ArgumentSpec("withcoord", .pureToken, .optional, token: "WITHCOORD"),
                ArgumentSpec("withdist", .pureToken, .optional, token: "WITHDIST"),
                ArgumentSpec("withhash", .pureToken, .optional, token: "WITHHASH"),
                atMost,
                order,
                ArgumentSpec("key", .key, .optional, token: "STORE", key: 1),
                ArgumentSpec("key", .key, .optional, token: "STOREDIST", key: 2),
            ],
            history: [
                ("6.2.0", "ANY."),
                ("7.0.0", "Units in upper case."),
            ],
            docFlags: ["deprecated"],
            deprecatedSince: "6.2.0",
            replacedBy: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument")
    }

    static var georadiusRO: CommandSpec {
        CommandSpec(
            "georadius_ro", arity: -6, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .geo, .slow], since: "3.2.10", group: "geo",
            summary: "Finds the places around a point, without storing them.",
            complexity: "O(N + log M), M places, N in the box around the circle",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("longitude", .double),
                ArgumentSpec("latitude", .double),
                ArgumentSpec("radius", .double),
                unit,
                ArgumentSpec("withcoord", .pureToken, .optional, token: "WITHCOORD"),
                ArgumentSpec("withdist", .pureToken, .optional, token: "WITHDIST"),
                ArgumentSpec("withhash", .pureToken, .optional, token: "WITHHASH"),
                atMost,
                order,
            ],
            history: [("6.2.0", "ANY.")],
            docFlags: ["deprecated"],
            deprecatedSince: "6.2.0",
            replacedBy: "`GEOSEARCH` with the `BYRADIUS` argument")
    }

    static var georadiusbymember: CommandSpec {
        CommandSpec(
            "georadiusbymember", arity: -5, flags: [.write, .denyoom, .movableKeys],
            keys: [
                .at(1, [.ro, .access]),
                KeySpec(
                    [.ow, .update], begin: .keyword("STORE", startFrom: 5), find: .range(last: 0, step: 1, limit: 0)),
                KeySpec(
                    [.ow, .update], begin: .keyword("STOREDIST", startFrom: 5), find: .range(last: 0, step: 1, limit: 0)
                ),
            ],
            categories: [.write, .geo, .slow], since: "3.2.0", group: "geo",
            summary: "Finds the places around another one.",
            complexity: "O(N + log M), M places, N in the box around the circle",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("member", .string),
                ArgumentSpec("radius", .double),
                unit,
                ArgumentSpec("withcoord", .pureToken, .optional, token: "WITHCOORD"),
                ArgumentSpec("withdist", .pureToken, .optional, token: "WITHDIST"),
                ArgumentSpec("withhash", .pureToken, .optional, token: "WITHHASH"),
                ArgumentSpec(
                    "count", .block, .optional,
                    of: [
                        ArgumentSpec("count", .integer, token: "COUNT"),
                        ArgumentSpec("any", .pureToken, .optional, token: "ANY"),
                    ]),
                order,
                ArgumentSpec("key", .key, .optional, token: "STORE", key: 1),
                ArgumentSpec("key", .key, .optional, token: "STOREDIST", key: 2),
            ],
            history: [("7.0.0", "Units in upper case.")],
            docFlags: ["deprecated"],
            deprecatedSince: "6.2.0",
            replacedBy: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments")
    }

    static var georadiusbymemberRO: CommandSpec {
        CommandSpec(
            "georadiusbymember_ro", arity: -5, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .geo, .slow], since: "3.2.10", group: "geo",
            summary: "Finds the places around another one, without storing them.",
            complexity: "O(N + log M), M places, N in the box around the circle",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("member", .string),
                ArgumentSpec("radius", .double),
                unit,
                ArgumentSpec("withcoord", .pureToken, .optional, token: "WITHCOORD"),
                ArgumentSpec("withdist", .pureToken, .optional, token: "WITHDIST"),
                ArgumentSpec("withhash", .pureToken, .optional, token: "WITHHASH"),
                ArgumentSpec(
                    "count", .block, .optional,
                    of: [
                        ArgumentSpec("count", .integer, token: "COUNT"),
                        ArgumentSpec("any", .pureToken, .optional, token: "ANY"),
                    ]),
                order,
            ],
            docFlags: ["deprecated"],
            deprecatedSince: "6.2.0",
            replacedBy: "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments")
    }

    static var geosearch: CommandSpec {
        CommandSpec(
            "geosearch", arity: -7, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .geo, .slow], since: "6.2.0", group: "geo",
            summary: "Finds the places in a circle or a box.",
            complexity: "O(N + log M), M places, N in the box around the area",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec(
                    "from", .oneof,
                    of: [
                        ArgumentSpec("member", .string, token: "FROMMEMBER"),
                        ArgumentSpec(
                            "longitude_latitude", .block, token: "FROMLONLAT",
                            of: [
                                ArgumentSpec("longitude", .double),
                                ArgumentSpec("latitude", .double),
                            ]),
                    ]),
                ArgumentSpec(
                    "by", .oneof,
                    of: [
                        ArgumentSpec(
                            "circle", .block,
                            of: [
                                ArgumentSpec("radius", .double, token: "BYRADIUS"),
                                unit,
                            ]),
                        ArgumentSpec(
                            "box", .block,
                            of: [
                                ArgumentSpec("width", .double, token: "BYBOX"),
                                ArgumentSpec("height", .double),
                                unit,
                            ]),
                    ]),
                order,
                ArgumentSpec(
                    "count", .block, .optional,
                    of: [
                        ArgumentSpec("count", .integer, token: "COUNT"),
                        ArgumentSpec("any", .pureToken, .optional, token: "ANY"),
                    ]),
                ArgumentSpec("withcoord", .pureToken, .optional, token: "WITHCOORD"),
                ArgumentSpec("withdist", .pureToken, .optional, token: "WITHDIST"),
                ArgumentSpec("withhash", .pureToken, .optional, token: "WITHHASH"),
            ],
            history: [("7.0.0", "Units in upper case.")])
    }

    static var geosearchstore: CommandSpec {
        CommandSpec(
            "geosearchstore", arity: -8, flags: [.write, .denyoom],
            keys: [
                .at(1, [.ow, .update]),
                .at(2, [.ro, .access]),
            ],
            categories: [.write, .geo, .slow], since: "6.2.0", group: "geo",
            summary: "Stores the places in a circle or a box.",
            complexity: "O(N + log M), M places, N in the box around the area",
            arguments: [
                ArgumentSpec("destination", .key, key: 0),
                ArgumentSpec("source", .key, key: 1),
                ArgumentSpec(
                    "from", .oneof,
                    of: [
                        ArgumentSpec("member", .string, token: "FROMMEMBER"),
                        ArgumentSpec(
                            "longitude_latitude", .block, token: "FROMLONLAT",
                            of: [
                                ArgumentSpec("longitude", .double),
                                ArgumentSpec("latitude", .double),
                            ]),
                    ]),
                ArgumentSpec(
                    "by", .oneof,
                    of: [
                        ArgumentSpec(
                            "circle", .block,
                            of: [
                                ArgumentSpec("radius", .double, token: "BYRADIUS"),
                                unit,
                            ]),
                        ArgumentSpec(
                            "box", .block,
                            of: [
                                ArgumentSpec("width", .double, token: "BYBOX"),
                                ArgumentSpec("height", .double),
                                unit,
                            ]),
                    ]),
                order,
                ArgumentSpec(
                    "count", .block, .optional,
                    of: [
                        ArgumentSpec("count", .integer, token: "COUNT"),
                        ArgumentSpec("any", .pureToken, .optional, token: "ANY"),
                    ]),
                ArgumentSpec("storedist", .pureToken, .optional, token: "STOREDIST"),
            ],
            history: [("7.0.0", "Units in upper case.")])
    }
}
