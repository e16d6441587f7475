// swift-tools-version: 6.2

import PackageDescription

let locks = Target.Dependency.product(name: "AsyncRedisLock", package: "async-redis-lock")

let package = Package(
  name: "examples",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "async-redis-lock", path: "..", traits: ["ServiceLifecycle"]),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.20.0", traits: []),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.8.0"),
  ],
  targets: [
    .executableTarget(name: "FirstLock", dependencies: [locks], path: "FirstLock"),
    .executableTarget(name: "LeaderElection", dependencies: [locks], path: "LeaderElection"),
    .executableTarget(name: "ScheduledJob", dependencies: [locks], path: "ScheduledJob"),
    .executableTarget(name: "WithoutTLS", dependencies: [locks], path: "WithoutTLS"),
    .executableTarget(name: "HandingOver", dependencies: [locks], path: "HandingOver"),
    .target(name: "CLedger", path: "CLedger"),
    .executableTarget(name: "CInterop", dependencies: ["CLedger", locks], path: "CInterop"),
    .executableTarget(
      name: "HTTPService",
      dependencies: [
        locks,
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      path: "HTTPService"
    ),
  ]
)
