import FaultProxy
import Logging
import Testing

@testable import AsyncRedisLock

/// Two nodes in the test process: the first has all slots by its own words, and redirects as a test wants it.
@Suite("Redirections in a cluster", .timeLimit(.minutes(2)))
struct ClusterRedirectionTests {
  /// The commands about locks that a server has got, in order, on its busiest connection.
  private func names(_ server: FakeServer) -> [String] {
    let all = server.commands.map { $0.map(\.name) }
    let login: Set<String> = ["CLIENT", "CLUSTER", "PING", "INFO", "HELLO"]
    return all.max { $0.count < $1.count }?.filter { !login.contains($0) } ?? []
  }

  @Test(
    "If a slot is moving, an acquisition goes on step by step, and draws its number after it has the key"
  )
  func asked() async throws {
    let target = try FakeServer.node { command, _, _ in
      command.name == "CLUSTER" ? FakeServer.slots(of: "1") : nil
    }
    defer { target.stop() }
    let port = target.port
    let (isMoving, token) = (Shared(false), Shared(""))
    let firstSending = Shared<Instant?>(nil)
    let source = try FakeServer.node { command, _, _ in
      switch command.name {
      case "SET" where isMoving.value:
        token.value = command.words[2]
        let redirection = FakeAnswer.send("-ASK 0 127.0.0.1:\(port)\r\n")
        guard firstSending.value == nil else { return redirection }
        firstSending.value = .now
        return redirection.delayed(by: .milliseconds(300))
      // The counter is still here. The key was not, when this was drawn first.
      case "GETRANGE" where isMoving.value: return .send("-ASK 0 127.0.0.1:\(port)\r\n")
      default: return nil
      }
    }
    defer { source.stop() }
    let locker = try await Locker(url: source.clusterURL)
    let key = uniqueKey()
    try await locker.acquire(key).release()
    isMoving.value = true
    let former = names(source).count
    let lock = try await locker.acquire(key)
    #expect(
      names(source).dropFirst(former).prefix(5) == ["SET", "INCR", "GETRANGE", "SET", "INCR"])
    #expect(lock.token == token.value)
    // The counter gave 1,000,001 to the script, then one number to each INCR: only the second counts.
    #expect(lock.fencingToken == 1_000_003)
    #expect(names(target).prefix(4) == ["ASKING", "SET", "ASKING", "GETRANGE"])
    // The node had got the command by then, and may have taken the key.
    let latest = try #require(firstSending.value) + LockOptions().ttl
    #expect(lock.lease.state.validUntil < latest)
    await locker.close()
  }

  @Test("If a slot has moved, commands are sent to its new node without ASKING")
  func moved() async throws {
    let target = try FakeServer.node { _, _, _ in nil }
    defer { target.stop() }
    let port = target.port
    // It goes on to say that it has all slots, but the other node knows better.
    let source = try FakeServer.node { command, _, _ in
      switch command.name {
      case "SET", "INCR", "GETRANGE", "EVAL", "EVALSHA":
        .send("-MOVED \(HashSlot.slot(of: "moved-key")) 127.0.0.1:\(port)\r\n")
      default: nil
      }
    }
    defer { source.stop() }
    let locker = try await Locker(url: source.clusterURL)
    let lock = try await locker.acquire("moved-key")
    #expect(lock.fencingToken == 1_000_001)
    #expect(names(target).prefix(3) == ["SET", "EVAL", "GETRANGE"])
    #expect(!target.commands.joined().contains { $0.name == "ASKING" })
    await eventually("the node that was named is asked for the slots") {
      target.commands.joined().contains { $0.name == "CLUSTER" }
    }
    await locker.close()
  }

  @Test(
    "An array in place of a drawn number is refused unless a script was sent, also in a cluster")
  func arrayForNumber() async throws {
    for answer in ["*2\r\n:0\r\n:0\r\n", "*2\r\n:1\r\n$1\r\n7\r\n"] {
      let server = try FakeServer.node { command, _, _ in
        command.name == "INCR" ? .send(answer) : nil
      }
      defer { server.stop() }
      let locker = try await Locker(url: server.clusterURL)
      let key = uniqueKey()
      try await locker.acquire(key).release()
      let options = LockOptions(retry: .milliseconds(1), timeout: .seconds(5))
      let lock = try await locker.acquire(key, options: options)
      // The token of the attempt with the wrong answer was given up.
      let refused = server.commands.joined().filter { $0.name == "INCR" }.count
      let tokens = server.commands.joined().filter { $0.name == "SET" }.map { $0.words[2] }
      #expect(refused > 0)
      #expect(tokens.count > 1 && lock.token != tokens[1], "\(answer.debugDescription)")
      await locker.close()
    }
  }

  @Test("An answer of a node that does not have the slot any more counts as none")
  func outdated() async throws {
    let nodes = (1...2).map { LockerConfiguration.Address.tcp(host: "127.0.0.\($0)", port: 1) }
    let cluster = ClusterConnection(
      LockerConfiguration(), seeds: nodes, on: HostMachine(),
      reporter: Reporter(logger: Logger(label: "cluster"), label: nil))
    let link = ClusterLink(to: nodes[0], of: cluster)
    let answer = Request.Answer(replies: [.integer(1)], sentAt: .now)
    for (owner, kind, isTaken) in [
      (nodes[0], Request.Kind.call, false), (nodes[1], .call, true), (nodes[1], .cleanUp, false),
    ] {
      _ = cluster.state.withLock { $0.table.moved(7, to: owner) }
      let outcomes = Recorder<Bool>()
      let request = Request([Command("PING")], deadline: .now + .seconds(9), kind: kind) {
        outcomes.record((try? $0.get()) != nil)
      }
      request.slot = 7
      #expect(request.beginSending())
      #expect(cluster.takesOver(request, answer, from: link) == isTaken)
      #expect(outcomes.values == (isTaken ? [false] : []))
    }
    cluster.close()
  }
}
