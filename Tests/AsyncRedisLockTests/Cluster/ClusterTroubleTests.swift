import FaultProxy
import Testing

@testable import AsyncRedisLock

/// Nodes in the test process that say what real ones say only for a moment.
@Suite("A cluster in which a node cannot answer", .timeLimit(.minutes(2)))
struct ClusterTroubleTests {
  /// Instants of different clocks may be a little apart.
  private static let pause = Duration.milliseconds(45)

  private func pauses(_ arrivals: Shared<[Instant]>) -> [Duration] {
    zip(arrivals.value, arrivals.value.dropFirst()).map { $0.duration(to: $1) }
  }

  @Test(
    "A request that a node cannot serve just then is sent again every 50 ms, until its deadline",
    arguments: [
      "TRYAGAIN Multiple keys request during rehashing of slot",
      "CLUSTERDOWN Hash slot not served",
    ])
  func again(_ error: String) async throws {
    let arrivals = Shared<[Instant]>([])
    let troubleCount = Shared(3)
    let server = try FakeServer.node { command, _, _ in
      guard command.name.hasPrefix("EVAL") else { return nil }
      arrivals.change { $0.append(.now) }
      return arrivals.value.count <= troubleCount.value ? .send("-\(error)\r\n") : nil
    }
    defer { server.stop() }
    let patient = try await Locker(url: server.clusterURL) { $0.operationTimeout = .seconds(20) }
    #expect(try await patient.inspect(uniqueKey()) == nil)
    #expect(arrivals.value.count == 4)
    #expect(pauses(arrivals).allSatisfy { $0 >= Self.pause }, "\(pauses(arrivals))")
    await patient.close()

    troubleCount.value = .max
    arrivals.value = []
    let hasty = try await Locker(url: server.clusterURL)
    let attempt = await Attempt { try await hasty.inspect(uniqueKey()) }
    #expect(attempt.error != nil)
    #expect(arrivals.value.count > 3)
    #expect(pauses(arrivals).allSatisfy { $0 >= Self.pause }, "\(pauses(arrivals))")
    await hasty.close()
  }

  @Test("An acquisition that a node cannot serve just then is tried again with another token")
  func anotherToken() async throws {
    let server = try FakeServer.node { command, _, _ in
      command.name == "SET" ? "-CLUSTERDOWN Hash slot not served\r\n" : nil
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.clusterURL)
    func count(_ name: String) -> Int { server.commands.joined().count { $0.name == name } }
    let questions = count("CLUSTER")
    let lock = try await locker.acquire(
      uniqueKey(), options: LockOptions(timeout: .seconds(20), extend: nil))
    // The next attempt is a script.
    let first = try #require(server.commands.joined().first { $0.name == "SET" }?.words[2])
    #expect(lock.token != first)
    #expect(!server.scripts(about: lock.token).isEmpty)
    await eventually("the slots are asked for") { count("CLUSTER") > questions }
    await locker.close()
  }

  @Test("While a slot is half moved, a free key is taken, also at a later attempt")
  func laterAttempt() async throws {
    let isDown = Shared(true)
    let server = try FakeServer.node { command, _, _ in
      if command.name == "SET", isDown.exchange(false) {
        return "-CLUSTERDOWN Hash slot not served\r\n"
      }
      // The key is not there, and the counter is.
      guard command.name.hasPrefix("EVAL"), command.words[2] != "1" else { return nil }
      return "-TRYAGAIN Multiple keys request during rehashing of slot\r\n"
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.clusterURL)
    let lock = try await locker.acquire(
      uniqueKey(), options: LockOptions(timeout: .seconds(20), extend: nil))
    let tokens = server.commands.joined().filter { $0.name == "SET" }.map { $0.words[2] }
    #expect(tokens.count == 2 && lock.token == tokens.last)
    await locker.close()
  }

  @Test("While a slot is half moved, keys are given back at once, without their queue")
  func halfMoved() async throws {
    let (token, hangsUp) = (Shared("none"), Shared(false))
    let server = try FakeServer.node { command, _, _ in
      if command.name == "SET", hangsUp.exchange(false) {
        token.value = command.words[2]
        return FakeAnswer(.hangUp)
      }
      guard command.name.hasPrefix("EVAL"), command.words[2] != "1",
        command.words.contains(token.value)
      else { return nil }
      return "-TRYAGAIN Multiple keys request during rehashing of slot\r\n"
    }
    defer { server.stop() }
    let locker = try await Locker(url: server.clusterURL) { $0.operationTimeout = .seconds(20) }
    let options = LockOptions(timeout: .seconds(20), ttl: .seconds(30), extend: nil)
    let lock = try await locker.acquire(uniqueKey("released"), options: options)
    token.value = lock.token
    #expect(try await lock.release() == .released)
    let releases = server.scripts(about: lock.token)
    #expect(releases.contains { $0[2] != "1" })
    #expect(releases.last?[2...5] == ["1", lock.keys[0], "", lock.token])

    hangsUp.value = true
    let other = try await locker.acquire(uniqueKey("cleaned"), options: options)
    #expect(token.value != other.token)
    await eventually("the key is given back") {
      server.scripts(about: token.value).contains { $0[2...3] == ["1", other.keys[0]] }
    }
    await locker.close()
  }

  @Test("A request that two nodes send to and fro rests after the fifth redirection")
  func toAndFro() async throws {
    let key = uniqueKey()
    let arrivals = Shared<[Instant]>([])
    let ports = Shared(["", ""])
    let nodes = try (0..<2).map { number in
      try FakeServer.node { command, _, _ in
        // What a node tells at the beginning is enough.
        if command.name == "CLUSTER", !arrivals.value.isEmpty { return .silence }
        guard command.name.hasPrefix("EVAL") else { return nil }
        arrivals.change { $0.append(.now) }
        guard arrivals.value.count <= 7 else { return nil }
        let other = ports.value[1 - number]
        return .send("-MOVED \(HashSlot.slot(of: key)) 127.0.0.1:\(other)\r\n")
      }
    }
    defer { for node in nodes { node.stop() } }
    ports.value = nodes.map(\.port)
    let locker = try await Locker(url: nodes[0].clusterURL) { $0.operationTimeout = .seconds(20) }
    #expect(try await locker.inspect(key) == nil)
    #expect(arrivals.value.count == 8)
    #expect(pauses(arrivals).suffix(2).allSatisfy { $0 >= Self.pause }, "\(pauses(arrivals))")
    await locker.close()
  }

  @Test("A node that names its own address is asked on another connection")
  func movedToItself() async throws {
    let key = uniqueKey()
    let (port, isOther) = (Shared(""), Shared(true))
    let server = try FakeServer.node { command, _, _ in
      guard command.name.hasPrefix("EVAL"), isOther.exchange(false) else { return nil }
      return .send("-MOVED \(HashSlot.slot(of: key)) 127.0.0.1:\(port.value)\r\n")
    }
    defer { server.stop() }
    port.value = server.port
    let locker = try await Locker(url: server.clusterURL) { $0.operationTimeout = .seconds(20) }
    #expect(try await locker.inspect(key) == nil)
    let counts = server.commands.map { $0.count { $0.name.hasPrefix("EVAL") } }
    #expect(counts.filter { $0 > 0 } == [1, 1])
    await locker.close()
  }

  @Test("If a connection breaks behind ASKING, what undoes the command follows it with ASKING")
  func undoAsks() async throws {
    let breaks = Shared(true)
    let target = try FakeServer.node { command, _, _ in
      command.name == "SET" && breaks.exchange(false) ? "?\r\n" : nil
    }
    defer { target.stop() }
    let port = target.port
    let source = try FakeServer.node { command, _, _ in
      command.name == "SET"
        ? .send("-ASK \(HashSlot.slot(of: command.words[1])) 127.0.0.1:\(port)\r\n") : nil
    }
    defer { source.stop() }
    let locker = try await Locker(url: source.clusterURL)
    let lock = try await locker.acquire(
      uniqueKey(), options: LockOptions(timeout: .seconds(20), extend: nil))
    /// The commands on the connection that broke, from the one before whose answer it broke.
    func broken() -> ArraySlice<FakeCommand> {
      let commands = target.commands.first { $0.contains { $0.name == "SET" } } ?? []
      return commands.drop { $0.name != "SET" }
    }
    await eventually("the undo has come") { broken().count >= 3 }
    let (first, undo) = (broken().first?.words, broken().dropFirst(2).first?.words)
    #expect(broken().prefix(3).map(\.name) == ["SET", "ASKING", "EVAL"])
    let token = try #require(first?[2])
    #expect(token != lock.token)
    #expect(undo?.contains(token) == true)
    await locker.close()
  }

  @Test("An answer to CLUSTER SLOTS has at most a range for each slot, and at most 4 MiB")
  func bounds() async throws {
    func connects(count: Int, id: String) async throws -> Bool {
      let answer = Shared(FakeAnswer.silence)
      let server = try FakeServer.node { command, _, _ in
        command.name == "CLUSTER" ? answer.value : nil
      }
      defer { server.stop() }
      var text = "*\(count)\r\n"
      for number in 0..<count {
        text += FakeServer.range(number % 16384...number % 16384, of: server.port, id: id)
      }
      answer.value = .send(text)
      let attempt = await Attempt {
        try await Locker(url: server.clusterURL) { $0.connectTimeout = .seconds(20) }
      }
      await attempt.value?.close()
      return attempt.value != nil
    }
    let id = String(repeating: "0", count: 40)
    #expect(try await connects(count: 16384, id: id))
    #expect(try await !connects(count: 16385, id: id))
    #expect(try await !connects(count: 16384, id: String(repeating: "0", count: 300)))
  }
}
