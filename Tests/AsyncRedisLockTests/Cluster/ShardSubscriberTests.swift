import FaultProxy
import Logging
import Testing

@testable import AsyncRedisLock

@Suite("The subscriber to a node of a cluster", .timeLimit(.minutes(1)))
struct ShardSubscriberTests {
  @Test("The answer to the probe of a listener that has left is not taken for another's")
  func probeOfFormerListener() async throws {
    let server = try FakeServer { command, _, _ in
      switch command.name {
      case "SSUBSCRIBE": .send("*3\r\n" + Self.texts("ssubscribe", command.words[1]) + ":1\r\n")
      case "PING": .silence
      default: nil
      }
    }
    defer { server.stop() }
    let configuration = try LockerConfiguration(url: server.url)
    let cluster = ClusterConnection(
      configuration, seeds: [], on: HostMachine(),
      reporter: Reporter(logger: Logger(label: "cluster"), label: nil))
    let events = Recorder<String>()
    func listener(on channel: String) -> SlotSubscription {
      SlotSubscription(to: channel, in: 0, of: cluster, isWaitedFor: { true }) { event in
        switch event {
        case .subscribed: events.record("\(channel) is subscribed")
        case .message(let text): events.record("\(channel) gets \(text)")
        case .probed: events.record("\(channel) is probed")
        case .disconnected(let cause): events.record("\(channel) is cut off: \(cause)")
        }
      }
    }
    let (former, other) = (listener(on: "former"), listener(on: "other"))
    let subscriber = ShardSubscriber(configuration, on: HostMachine(), loginGate: LoginGate())
    defer { subscriber.close() }
    subscriber.add(former)
    subscriber.add(other)
    await eventually("both are subscribed") { events.values.count == 2 }
    func probes() -> [String] {
      server.commands[0].filter { $0.name == "PING" }.map { $0.words[1] }
    }
    subscriber.probe(for: former)
    await eventually("the first probe has arrived") { probes().count == 1 }
    subscriber.remove(former)
    subscriber.probe(for: other)
    await eventually("the second probe has arrived") { probes().count == 2 }
    let pongs = probes().map { "*2\r\n" + Self.texts("pong", $0) }
    let message = "*3\r\n" + Self.texts("smessage", "other", "a grant")
    server.perform(.send(pongs[0] + message + pongs[1]), on: 0)
    await eventually("the second probe is answered") { events.values.last == "other is probed" }
    #expect(
      events.values.dropFirst(2) == ["other gets a grant", "other is probed"], "\(events.values)")
    // The answer could be taken for the server's notice that the slot has moved.
    #expect(!server.commands.joined().contains { $0.name == "SUNSUBSCRIBE" })
  }

  private static func texts(_ texts: String...) -> String {
    texts.map(FakeAnswer.bulkText).joined()
  }
}
