import AsyncRedisLock
import FaultProxy
import Foundation
import PrivateRedis
import Testing

/// Spoils each message of each operation, in each way and at each byte.
@Suite(
  "A fault in any message of an operation", .timeLimit(.minutes(10)), .redisServer(),
  .serialized)
struct SweepTests {
  @Test(
    "After any fault in any message of an operation, the outcome is right, nothing is left, and the next call works"
  )
  func sweep() async throws {
    try await sweep(RedisServer.current) { $0 % 4 == 3 ? .unixSocket : .tcp }
  }

  #if TLS
    @Test(
      "After any fault in any record of TLS, the outcome is right, nothing is left, and the next call works"
    )
    func encryptedSweep() async throws {
      let certificates = try Certificates()
      let identity = try certificates.make("good", names: ["IP:127.0.0.1"])
      let server = try TLSServer(identity, authority: certificates.authority)
      defer { server.plain.stop() }
      let route = SweepRoute.tls(
        port: server.port, authority: certificates.authority.certificate)
      try await sweep(server.plain) { _ in route }
      withExtendedLifetime(certificates) {}
    }
  #endif

  /// Spoils each message that goes by a route, of which there may be several in turn.
  private func sweep(
    _ server: RedisServer, by route: @Sendable (_ index: Int) -> SweepRoute
  ) async throws {
    let other = try await Locker(on: server)
    var before: ProcessResources?
    for operation in SweepOperation.allCases {
      let points = try await points(of: operation, on: server, other, by: route)
      #expect(points.count > 60)
      let width = operation.width(isEncrypted: route(0).isEncrypted)
      await withTaskGroup(of: Void.self) { group in
        for (index, point) in points.enumerated() {
          if index >= width { await group.next() }
          group.addTask { await Self.run(point, on: server, other) }
        }
      }
      print("\(operation.rawValue): \(points.count) spoilt messages")
      // By now, the resources that are opened only once are open.
      before = before ?? .current
    }
    let start = try #require(before)
    await eventually(
      within: .seconds(60), "no more threads and descriptors than after the first run"
    ) {
      ProcessResources.current.isNoMore(than: start)
    }
    await other.close()
  }

  private static func run(_ point: SweepPoint, on server: RedisServer, _ other: Locker) async {
    do {
      // On a busy machine, the connection may be lost before, so that the message goes by another.
      for _ in 0..<5 {
        let stage = try await SweepStage(
          point.operation, point, on: server, by: point.route, other: other)
        try await point.operation.perform(with: stage)
        try await stage.finish()
        for problem in stage.problems { Issue.record("\(point.text): \(problem)") }
        if stage.hasStruck { return }
      }
      Issue.record("\(point.text): nothing was spoilt")
    } catch {
      Issue.record("\(point.text): \(error)")
    }
  }

  /// All faults for the messages of an operation, by the number and length that they have without a fault.
  private func points(
    of operation: SweepOperation, on server: RedisServer, _ other: Locker,
    by route: (_ index: Int) -> SweepRoute
  ) async throws -> [SweepPoint] {
    // The first run loads the scripts into the server.
    var messages: [FaultProxy.Message] = []
    for _ in 0..<2 {
      let stage = try await SweepStage(
        operation, nil, on: server, by: route(0), other: other)
      try await operation.perform(with: stage)
      messages = stage.messages
      try await stage.finish()
      #expect(stage.problems.isEmpty)
    }
    var points: [SweepPoint] = []
    for direction in FaultProxy.Direction.allCases {
      // The final release belongs to another operation.
      let count = operation == .acquire ? 3 : 1
      for (index, message) in messages.filter({ $0.direction == direction }).prefix(count)
        .enumerated()
      {
        for fault in Self.faults(size: message.bytes.count, step: route(0).isEncrypted ? 16 : 1) {
          points.append(
            SweepPoint(
              operation: operation, direction: direction, index: index, fault: fault,
              route: route(points.count)))
        }
      }
    }
    return points
  }

  /// The faults for a message; it is cut behind each `step` bytes.
  private static func faults(size: Int, step: Int) -> [Fault] {
    var faults: [Fault] = [
      .swallow, .duplicate, .delay(SweepStage.operationTimeout * 1.5), .delay(.milliseconds(400)),
      .drip(count: 7, every: .milliseconds(2)),
    ]
    for count in 0...size {
      if count % step == 0 || count == size { faults.append(.cut(after: count)) }
      if count % 8 == 0 { faults.append(.reset(after: count)) }
      if count % 16 == 0 || count == size { faults.append(.blackhole(after: count)) }
      if count % 32 == 0 || count == size {
        faults += [.halfClose(after: count), .finishThenReset(after: count)]
      }
    }
    return faults
  }
}
