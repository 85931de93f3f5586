// swift-tools-version: 6.2
// The build graph is the architecture: a target may depend only on targets listed above it.
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "valk",
    products: [
        .library(name: "ValkEngine", targets: ["ValkEngine"]),
        .library(name: "ValkRESP", targets: ["ValkRESP"]),
        .executable(name: "valk-server", targets: ["valk-server"]),
        .executable(name: "valk-inspect", targets: ["valk-inspect"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        // C: shims and system libraries.
        .target(name: "CValk"),
        .systemLibrary(
            name: "CLibevent",
            providers: [.apt(["libevent-dev"])]),
        .systemLibrary(
            name: "COpenSSL", pkgConfig: "openssl",
            providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CCompression",
            providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(
            name: "CLua", pkgConfig: "lua5.1",
            providers: [.apt(["liblua5.1-0-dev"])]),
        .target(name: "CValkTLS", dependencies: ["COpenSSL"]),
        .target(
            name: "CValkLua", dependencies: ["CLua"],
            linkerSettings: [
                .linkedLibrary("lua5.1-cjson"), .linkedLibrary("lua5.1-bitop"), .linkedLibrary("lua5.1"),
            ]),

        // 0 to 1: bytes and the one disk seam.
        .target(name: "ValkBase", dependencies: ["CValk"], swiftSettings: strict),
        .target(name: "ValkDisk", dependencies: ["ValkBase", "CValk"], swiftSettings: strict),

        // 2: storage | protocol.
        .target(
            name: "ValkEngine", dependencies: ["ValkDisk", "ValkBase", "CValk", "CCompression"],
            swiftSettings: strict),
        .target(name: "ValkRESP", dependencies: ["ValkBase", "CValk"], swiftSettings: strict),

        // 3 to 4: Redis types over ordered keys, and the command table.
        .target(name: "ValkData", dependencies: ["ValkEngine", "ValkBase", "CValk"], swiftSettings: strict),
        .target(
            name: "ValkCommands", dependencies: ["ValkData", "ValkEngine", "ValkRESP", "ValkBase", "CValk"],
            swiftSettings: strict),

        // 5: Lua, which calls back through a protocol.
        .target(
            name: "ValkScripting", dependencies: ["ValkCommands", "ValkRESP", "ValkBase", "CValkLua"],
            swiftSettings: strict),

        // 6: the server.
        .target(
            name: "ValkServer",
            dependencies: [
                "ValkScripting", "ValkCommands", "ValkData", "ValkEngine", "ValkRESP", "ValkDisk", "ValkBase", "CValk",
                "CLibevent", "CValkTLS", "COpenSSL",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),

        // 7: executables.
        .executableTarget(name: "valk-server", dependencies: ["ValkServer"], swiftSettings: strict),
        .executableTarget(
            name: "valk-inspect",
            dependencies: [
                "ValkData", "ValkEngine", "ValkDisk", "ValkBase",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "valk-engine-bench",
            dependencies: [
                "ValkEngine", "ValkBase", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),

        // How the library is used.
        .executableTarget(
            name: "valk-example", dependencies: ["ValkEngine"], swiftSettings: strict),

        // Tests.
        .target(
            name: "ValkTestSupport", dependencies: ["ValkBase", "ValkDisk"], path: "Tests/ValkTestSupport",
            swiftSettings: strict),
        .testTarget(
            name: "ValkBaseTests", dependencies: ["ValkBase", "CValk", "ValkTestSupport"], swiftSettings: strict),
        .testTarget(
            name: "ValkDiskTests", dependencies: ["ValkDisk", "ValkBase", "ValkTestSupport"], swiftSettings: strict),
        .testTarget(
            name: "ValkEngineTests", dependencies: ["ValkEngine", "ValkDisk", "ValkBase", "ValkTestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "ValkRESPTests", dependencies: ["ValkRESP", "ValkBase", "ValkTestSupport"], exclude: ["Corpus"],
            swiftSettings: strict),
        .testTarget(
            name: "ValkCommandsTests",
            dependencies: [
                "ValkCommands", "ValkData", "ValkEngine", "ValkRESP", "ValkDisk", "ValkBase", "ValkTestSupport",
            ],
            exclude: ["Data"],
            swiftSettings: strict),
        .testTarget(
            name: "ValkScriptingTests", dependencies: ["ValkScripting", "ValkRESP", "ValkBase", "ValkTestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "ValkServerTests",
            dependencies: [
                "ValkServer", "ValkScripting", "ValkCommands", "ValkData", "ValkEngine", "ValkRESP", "ValkDisk",
                "ValkBase", "CValkTLS", "COpenSSL",
                "ValkTestSupport", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .testTarget(name: "TidyTests", swiftSettings: strict),
    ]
)
