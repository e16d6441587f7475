// swift-tools-version: 6.2

import PackageDescription

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .strictMemorySafety(),
]

let package = Package(
  name: "async-redis-lock-benchmarks",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "async-redis-lock", path: "..", traits: ["TLS"]),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.3.0"),
  ],
  targets: [
    .systemLibrary(name: "CFloor", path: "Modules/CFloor"),
    // Counts allocations and references, to show the cost of a pair.
    .target(name: "CCounting"),
    // A link to the tests' target, which is not a product of the package.
    .target(name: "PrivateRedis", swiftSettings: settings),
    .executableTarget(
      name: "lock-bench",
      dependencies: [
        .product(name: "AsyncRedisLock", package: "async-redis-lock"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Histogram", package: "hdrhistogram-swift"),
        .product(name: "HeapModule", package: "swift-collections"),
        "CCounting", "CFloor", "PrivateRedis",
      ],
      swiftSettings: settings
    ),
  ]
)
