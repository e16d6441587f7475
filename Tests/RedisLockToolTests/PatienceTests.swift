#if CommandLineTool
  import FaultProxy
  import Foundation
  import PrivateRedis
  import Testing

  @Suite("redis-lock run on a server that is temporarily unable to lock", .timeLimit(.minutes(3)))
  struct PatienceTests {
    @Test("A run waits while a server loads its data, but not with -n")
    func loading() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let client = RedisClient(server)
      // The server answers between two keys of a kilobyte, every millisecond, and for 8 s in all.
      _ = try client("CONFIG", "SET", "rdbcompression", "no")
      _ = try client("CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
      _ = try client("CONFIG", "SET", "key-load-delay", "2000")
      _ = try client("DEBUG", "POPULATE", "4000", "key", "1000")
      Thread.detachNewThread { _ = try? RedisClient(server)("DEBUG", "RELOAD") }
      await until("it loads") {
        do {
          _ = try client("GET", "x")
          return false
        } catch { return "\(error)".contains("LOADING") }
      }
      let now = try await ToolProcess.run(["run", "-n", "lock", "--", "echo", "ran"], on: server)
      #expect(now.status == 77 && now.errors.contains("LOADING"), "\(now.errors)")
      #expect(now.duration < .seconds(5))
      let later = try await ToolProcess.run(
        ["run", "-w", "60s", "lock", "--", "echo", "ran"], on: server)
      #expect(later.status == 0 && later.output == "ran\n", "\(later.errors)")
      #expect(later.errors.contains("waiting for the server: LOADING"))
    }

    @Test("A run whose wait is over before it is connected asks for the lock once")
    func shortWait() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let words = ["run", "-w", "1ms", "-E", "12", "lock", "--", "echo", "ran"]
      let free = try await ToolProcess.run(words, on: server)
      #expect(free.status == 0 && free.output == "ran\n", "\(free.errors)")
      _ = try RedisClient(server)("SET", "lock", "other")
      let held = try await ToolProcess.run(words, on: server)
      #expect(held.status == 12 && held.output.isEmpty, "\(held.errors)")
      #expect(!held.errors.contains("invalidOptions"))
    }

    @Test(
      "A run whose wait leaves no time for an answer once it is connected asks for the lock once")
    func waitWithoutAnswer() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let proxy = try FaultProxy(to: server)
      defer { proxy.stop() }
      proxy.setScript { $0.direction == .replies ? .delay(.milliseconds(60)) : .forward }
      _ = try RedisClient(server)("SET", "held", "other")
      // One of these ends while the lock is requested.
      for wait in stride(from: 160, through: 440, by: 40) {
        for (key, status) in [("free", 0), ("held", 12)] {
          let outcome = try await ToolProcess.run(
            ["run", "-w", "\(wait)ms", "-E", "12", key, "--", "true"], url: proxy.url)
          #expect(outcome.status == Int32(status), "-w \(wait)ms \(key): \(outcome.errors)")
        }
      }
    }

    @Test("A run waits for a server that accepts connections but does not answer for a while")
    func silent() async throws {
      let server = try RedisServer()
      defer { server.stop() }
      let client = RedisClient(server)
      // Longer than an answer may take; before that comes the greeting of a connection.
      _ = try client("PING")
      let waiter = try ToolProcess(
        ["run", "-w", "60s", "-v", "lock", "--", "echo", "ran"], on: server)
      for _ in 0..<4 {
        server.pause()
        try await Task.sleep(for: .milliseconds(1500))
        server.resume()
        try await Task.sleep(for: .milliseconds(2))
      }
      let outcome = await waiter.outcome()
      #expect(outcome.status == 0 && outcome.output == "ran\n", "\(outcome.errors)")
    }

    @Test("A run waits for a replica to become the master, and reports if that takes too long")
    func failover() async throws {
      let server = try RedisServer(arguments: ["--replicaof", "127.0.0.1", "1"])
      defer { server.stop() }
      let vain = try await ToolProcess.run(
        ["run", "-w", "1s", "lock", "--", "echo", "ran"], url: "\(server.url)?operation_timeout=40")
      #expect(vain.status == 77 && vain.output.isEmpty)
      #expect(vain.duration < .seconds(20), "nothing is left to do")
      #expect(vain.errors.contains("READONLY"), "\(vain.errors)")
      let waiter = try ToolProcess(["run", "-w", "30s", "lock", "--", "echo", "ran"], on: server)
      await until("it waits") { waiter.errors.contains("waiting for the server: SET: READONLY") }
      _ = try RedisClient(server)("REPLICAOF", "NO", "ONE")
      let outcome = await waiter.outcome()
      #expect(outcome.status == 0 && outcome.output == "ran\n", "\(outcome.errors)")
    }
  }
#endif
