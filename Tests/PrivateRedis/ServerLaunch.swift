import Foundation

/// Starts a server, and tries again until it answers or cannot succeed.
struct ServerLaunch {
  let arguments: [String]
  let environment: [String: String]
  let guardian: Guardian

  /// Starts a server at a free port.
  ///
  /// - Throws: ``RedisError/start(_:)`` with the server's log.
  func runAtFreePort() throws -> (Endpoint, ChildProcess) {
    var triesLeft = 20
    while true {
      let endpoint = Endpoint.tcp(port: UInt16(try freeTCPPort()))
      do {
        return (endpoint, try attempt(at: endpoint))
      } catch let error as RedisError where error.isAddressInUse && triesLeft > 0 {
        triesLeft -= 1
      }
    }
  }

  /// Starts a server at the address; if another process has taken the address meanwhile, waits for it.
  ///
  /// - Throws: ``RedisError/start(_:)`` with the server's log.
  func run(at endpoint: Endpoint) throws -> ChildProcess {
    let deadline = ContinuousClock.now + Self.patience
    while true {
      do {
        return try attempt(at: endpoint)
      } catch let error as RedisError where error.isAddressInUse && ContinuousClock.now < deadline {
        Thread.sleep(forTimeInterval: 0.05)
      }
    }
  }

  /// The server's log since its last start.
  static func log(in directory: String) -> String {
    let bytes = FileManager.default.contents(atPath: directory + logName) ?? Data()
    return String(decoding: bytes, as: UTF8.self)
  }

  private static let patience = Duration.seconds(10)
  private static let logName = "/redis.log"
  /// Redis 6 has no such option: it always accepts `DEBUG`.
  private static let debugOption = "enable-debug-command"

  private func attempt(at endpoint: Endpoint) throws -> ChildProcess {
    do {
      return try attempt(at: endpoint, defaults: ["--\(Self.debugOption)", "yes"])
    } catch RedisError.start(let text) where text.contains("'\(Self.debugOption) ") {
      return try attempt(at: endpoint, defaults: [])
    }
  }

  private func attempt(at endpoint: Endpoint, defaults: [String]) throws -> ChildProcess {
    let program = ProcessInfo.processInfo.environment["REDIS_SERVER"] ?? "redis-server"
    let command =
      ["env"] + environment.map { "\($0)=\($1)" }
      + [program, "--dir", guardian.directory, "--save", "", "--appendonly", "no"]
      + defaults + endpoint.arguments + arguments
    let process = try guardian.start(command, log: guardian.directory + Self.logName)
    let client = RedisClient(endpoint)
    let deadline = ContinuousClock.now + Self.patience
    while process.ending == nil {
      if answers(client, process) { return process }
      if ContinuousClock.now > deadline {
        process.signal(SIGKILL)
        process.waitForEnd()
        throw failure("\(program) did not answer within \(Self.patience)")
      }
      Thread.sleep(forTimeInterval: 0.002)
    }
    guardian.forget()
    throw failure("\(program) ended instead of answering")
  }

  private func answers(_ client: RedisClient, _ process: ChildProcess) -> Bool {
    do {
      try client("PING")
    } catch RedisError.server(let text) {
      return text.hasPrefix("NOAUTH")
    } catch {
      return false
    }
    // Another process may have taken the port between the search and the server's start.
    guard let information = try? client("INFO", "server").string else { return true }
    return information.contains("process_id:\(process.id)\r")
  }

  private func failure(_ text: String) -> RedisError {
    guardian.forget()
    return .start("\(text); its log:\n\(Self.log(in: guardian.directory))")
  }
}

extension RedisError {
  fileprivate var isAddressInUse: Bool {
    if case .start(let log) = self { log.contains("Address already in use") } else { false }
  }
}
