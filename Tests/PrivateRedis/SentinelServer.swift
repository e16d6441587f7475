import Foundation
import Synchronization

/// A sentinel that belongs to a test, at a free port of 127.0.0.1 and in a temporary folder of its own.
///
/// The environment variable `REDIS_SERVER` names the program, as for ``RedisServer``. However the test process ends,
/// the sentinel is killed and its folder removed. Every method may block its thread for some milliseconds; starting
/// may take up to 10 s.
public final class SentinelServer: Sendable {
  private struct State {
    var process: ChildProcess?
    var isPaused = false
    /// `nil` once the sentinel has been stopped for good.
    var guardian: Guardian?
  }

  /// The port at 127.0.0.1.
  public let port: Int
  private let password: String?
  private let state: Mutex<State>
  private static let patience = Duration.seconds(10)

  /// Starts a sentinel, and returns as soon as it answers.
  ///
  /// - Parameters:
  ///   - configuration: The lines of its configuration, apart from the port.
  ///   - password: The password of the sentinels themselves.
  /// - Throws: ``RedisError/start(_:)`` with the sentinel's log.
  public init(configuration: [String], password: String? = nil) throws {
    let guardian = try Guardian()
    let lines =
      configuration + ["dir \(guardian.directory)", "bind 127.0.0.1", "protected-mode no"]
      + (password.map { ["requirepass \($0)", "sentinel sentinel-pass \($0)"] } ?? [])
    var triesLeft = 20
    while true {
      let port = try freeTCPPort()
      // The sentinel itself writes into this file.
      let file = guardian.directory + "/sentinel.conf"
      try (["port \(port)"] + lines).joined(separator: "\n").write(
        toFile: file, atomically: false, encoding: .utf8)
      do {
        let process = try Self.run(file, at: port, in: guardian)
        (self.port, self.password) = (port, password)
        state = Mutex(State(process: process, guardian: guardian))
        return
      } catch RedisError.start(let log)
        where log.contains("Address already in use") && triesLeft > 0
      {
        triesLeft -= 1
      }
    }
  }

  deinit { stop() }

  /// Makes a client of the sentinel that has logged in.
  ///
  /// - Throws: ``RedisError``.
  public func client() throws -> RedisClient {
    let client = RedisClient(.tcp(port: UInt16(port)))
    if let password { try client("AUTH", password) }
    return client
  }

  /// Stops the process with SIGSTOP, and returns when it has stopped.
  public func pause() {
    state.withLock { state in
      guard let process = state.process, !state.isPaused else { return }
      process.signal(SIGSTOP)
      state.isPaused = true
      if process.waitForStop() { Self.forget(&state) }
    }
  }

  /// Resumes a paused sentinel.
  public func resume() {
    state.withLock { state in
      state.process?.signal(SIGCONT)
      state.isPaused = false
    }
  }

  /// Kills the process with SIGKILL, and returns when it is gone.
  public func kill() { state.withLock { Self.kill(&$0) } }

  /// Kills the sentinel for good and removes its folder.
  public func stop() {
    state.withLock { state in
      Self.kill(&state)
      state.guardian = nil
    }
  }

  private static func run(
    _ file: String, at port: Int, in guardian: Guardian
  ) throws -> ChildProcess {
    let program = ProcessInfo.processInfo.environment["REDIS_SERVER"] ?? "redis-server"
    let logName = guardian.directory + "/sentinel.log"
    func failure(_ text: String) -> RedisError {
      guardian.forget()
      let bytes = FileManager.default.contents(atPath: logName) ?? Data()
      return .start("\(text); its log:\n\(String(decoding: bytes, as: UTF8.self))")
    }
    let process = try guardian.start(["env", program, file, "--sentinel"], log: logName)
    let client = RedisClient(.tcp(port: UInt16(port)))
    let deadline = ContinuousClock.now + patience
    while process.ending == nil {
      do {
        try client("PING")
        return process
      } catch RedisError.server(let text) where text.hasPrefix("NOAUTH") {
        return process
      } catch {
        guard ContinuousClock.now < deadline else {
          process.signal(SIGKILL)
          process.waitForEnd()
          throw failure("the sentinel did not answer within \(patience)")
        }
        Thread.sleep(forTimeInterval: 0.002)
      }
    }
    throw failure("the sentinel ended instead of answering")
  }

  private static func kill(_ state: inout State) {
    guard let process = state.process else { return }
    process.signal(SIGKILL)
    process.waitForEnd()
    forget(&state)
  }

  private static func forget(_ state: inout State) {
    state.guardian?.forget()
    state.process = nil
    state.isPaused = false
  }
}
