// swift-tools-version: 6.2

import PackageDescription

#if os(Linux)
  // Debian's hiredis.pc carries a define that SwiftPM warns about on every build, and its headers
  // and library are on the default search paths anyway.
  let hiredisPkgConfig: String? = nil
#else
  let hiredisPkgConfig: String? = "hiredis"
#endif

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .strictMemorySafety(),
]

let package = Package(
  name: "async-redis-lock",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "AsyncRedisLock", targets: ["AsyncRedisLock"])
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-collections", from: "1.3.0")
  ],
  targets: [
    .systemLibrary(
      name: "CHiredis",
      path: "Modules/CHiredis",
      pkgConfig: hiredisPkgConfig,
      providers: [.apt(["libhiredis-dev"]), .brew(["hiredis"])]
    ),
    .target(
      name: "AsyncRedisLock",
      dependencies: [
        "CHiredis",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "HeapModule", package: "swift-collections"),
      ],
      resources: [.embedInCode("Protocol/Scripts")],
      swiftSettings: settings
    ),
    .testTarget(
      name: "AsyncRedisLockTests",
      dependencies: ["AsyncRedisLock"],
      swiftSettings: settings
    ),
  ]
)
