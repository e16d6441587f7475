// swift-tools-version: 6.2

import PackageDescription

#if os(Linux)
  // Debian's hiredis.pc carries a define that SwiftPM warns about on every build, and its headers
  // and library are on the default search paths anyway, as OpenSSL's are.
  let hiredisPkgConfig: String? = nil
  let opensslPkgConfig: String? = nil
#else
  let hiredisPkgConfig: String? = "hiredis"
  let opensslPkgConfig: String? = "openssl"
#endif

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .strictMemorySafety(),
]

/// Whether another package fetched this one.
///
/// What depends on this package gets no trait that it does not name. A checkout to work in gets all of them, so that a
/// bare `swift test` builds what `make test` builds.
let isDependency =
  Context.packageDirectory.contains("/checkouts/")
  || Context.packageDirectory.contains("/registry/")

/// The Lua scripts that run on the server, compiled into the library.
let scripts = [
  "acquire", "adopt", "extend", "fence", "force-release", "inspect", "keep", "list", "master",
  "poll", "queue", "record", "refresh", "release", "release-group", "restore", "trial",
]

let package = Package(
  name: "async-redis-lock",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "AsyncRedisLock", targets: ["AsyncRedisLock"]),
    .library(name: "AsyncRedisLockTesting", targets: ["AsyncRedisLockTesting"]),
    .executable(name: "redis-lock", targets: ["RedisLockTool"]),
  ],
  traits: [
    .trait(
      name: "CommandLineTool",
      description: "The executable redis-lock; without it, swift-argument-parser is not needed."),
    .trait(
      name: "ServiceLifecycle",
      description: "Makes a locker a service, which lets work end before it closes."),
    .trait(name: "Metrics", description: "Counts and times what lockers do, with swift-metrics."),
    .trait(
      name: "Tracing",
      description: "Makes spans of taking and holding locks, with swift-distributed-tracing."),
    .trait(name: "TLS", description: "Encrypted connections to the server, with OpenSSL."),
    .default(
      enabledTraits: isDependency
        ? [] : ["CommandLineTool", "ServiceLifecycle", "Metrics", "Tracing", "TLS"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.1"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.3.0"),
    .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.8.0"),
  ],
  targets: [
    .systemLibrary(
      name: "CHiredis",
      path: "Modules/CHiredis",
      pkgConfig: hiredisPkgConfig,
      providers: [.apt(["libhiredis-dev"]), .brew(["hiredis"])]
    ),
    .systemLibrary(
      name: "COpenSSL",
      path: "Modules/COpenSSL",
      pkgConfig: opensslPkgConfig,
      providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]
    ),
    .target(name: "CEpoll", path: "Modules/CEpoll"),
    .target(name: "CThreadSanitizer", path: "Modules/CThreadSanitizer"),
    .target(
      name: "AsyncRedisLock",
      dependencies: [
        "CEpoll", "CHiredis", "CThreadSanitizer",
        .target(name: "COpenSSL", condition: .when(traits: ["TLS"])),
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "HeapModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
        .product(
          name: "CoreMetrics", package: "swift-metrics", condition: .when(traits: ["Metrics"])),
        .product(
          name: "ServiceLifecycle", package: "swift-service-lifecycle",
          condition: .when(traits: ["ServiceLifecycle"])),
        .product(
          name: "Tracing", package: "swift-distributed-tracing",
          condition: .when(traits: ["Tracing"])),
      ],
      resources: scripts.map { .embedInCode("Redis/Scripts/\($0).lua") },
      swiftSettings: settings
    ),
    .target(
      name: "AsyncRedisLockTesting",
      dependencies: ["AsyncRedisLock", .product(name: "Logging", package: "swift-log")],
      swiftSettings: settings
    ),
    .target(name: "CChildProcess"),
    .executableTarget(
      name: "RedisLockTool",
      dependencies: [
        "AsyncRedisLock", "CChildProcess",
        .product(
          name: "ArgumentParser", package: "swift-argument-parser",
          condition: .when(traits: ["CommandLineTool"])),
        .product(
          name: "Logging", package: "swift-log", condition: .when(traits: ["CommandLineTool"])),
      ],
      swiftSettings: settings
    ),
    .target(name: "PrivateRedis", path: "Tests/PrivateRedis", swiftSettings: settings),
    .target(
      name: "FaultProxy", dependencies: ["AsyncRedisLock", "PrivateRedis"],
      path: "Tests/FaultProxy", swiftSettings: settings
    ),
    .executableTarget(
      name: "Demo", dependencies: ["AsyncRedisLock", "PrivateRedis"], path: "Examples/Demo",
      swiftSettings: settings
    ),
    .executableTarget(
      name: "LockTaker", dependencies: ["AsyncRedisLock"], path: "Tests/LockTaker",
      swiftSettings: settings
    ),
    .target(name: "ChaosLog", path: "Tests/ChaosLog", swiftSettings: settings),
    .executableTarget(
      name: "Simulator",
      dependencies: [
        "AsyncRedisLock", "AsyncRedisLockTesting", "ChaosLog",
        .product(name: "HeapModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "Tests/Simulator", swiftSettings: settings
    ),
    .executableTarget(
      name: "Chaos", dependencies: ["AsyncRedisLock", "ChaosLog", "FaultProxy", "PrivateRedis"],
      path: "Tests/Chaos", swiftSettings: settings
    ),
    .testTarget(
      name: "AsyncRedisLockTests",
      dependencies: [
        "AsyncRedisLock", "AsyncRedisLockTesting", "ChaosLog", "FaultProxy", "LockTaker",
        "PrivateRedis",
        .product(name: "InMemoryLogging", package: "swift-log"),
        .product(name: "Logging", package: "swift-log"),
        .product(
          name: "CoreMetrics", package: "swift-metrics", condition: .when(traits: ["Metrics"])),
        .product(
          name: "MetricsTestKit", package: "swift-metrics", condition: .when(traits: ["Metrics"])),
        .product(
          name: "ServiceLifecycle", package: "swift-service-lifecycle",
          condition: .when(traits: ["ServiceLifecycle"])),
        .product(
          name: "UnixSignals", package: "swift-service-lifecycle",
          condition: .when(traits: ["ServiceLifecycle"])),
        .product(
          name: "InMemoryTracing", package: "swift-distributed-tracing",
          condition: .when(traits: ["Tracing"])),
        .product(
          name: "Tracing", package: "swift-distributed-tracing",
          condition: .when(traits: ["Tracing"])),
      ],
      swiftSettings: settings
    ),
    .testTarget(
      name: "RedisLockToolTests",
      dependencies: [
        "CChildProcess", "FaultProxy", "LockTaker", "PrivateRedis", "RedisLockTool",
        .product(
          name: "ArgumentParser", package: "swift-argument-parser",
          condition: .when(traits: ["CommandLineTool"])),
      ],
      swiftSettings: settings
    ),
  ]
)
