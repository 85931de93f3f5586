package enum TestSeed { package static let value: UInt64 = 42 }
