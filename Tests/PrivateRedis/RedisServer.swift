import Foundation
import Synchronization

/// A `redis-server` that belongs to a test, in a temporary folder of its own.
///
/// The environment variable `REDIS_SERVER` names the program; otherwise it is the first `redis-server` in the path.
/// It may be a script, if the script ends with `exec`. The server keeps nothing on disk unless told to, and accepts
/// `DEBUG` commands. However the test process ends, the server is killed and its folder removed.
///
/// Every method may block its thread for some milliseconds; starting may take up to 10 s.
public final class RedisServer: Sendable {
  /// The kind of address of a server.
  public enum Listener: Sendable {
    /// A Unix socket in the server's folder.
    case unixSocket
    /// A free TCP port at 127.0.0.1.
    case tcp
  }

  private struct State {
    var arguments: [String]
    let environment: [String: String]
    var process: ChildProcess?
    var isPaused = false
    /// `nil` once the server has been stopped for good.
    var guardian: Guardian?
  }

  /// The folder in which the server runs; it stays the same across restarts.
  public let directory: String
  let endpoint: Endpoint
  private let login: String?
  private let state: Mutex<State>

  /// Starts a server, and returns as soon as it answers.
  ///
  /// - Parameters:
  ///   - arguments: Further arguments, such as `["--requirepass", "secret"]`.
  ///   - listener: The kind of address to listen on.
  ///   - login: A user and a password for ``url``, separated by a colon.
  ///   - environment: Variables of the server, in addition to those of this process.
  /// - Throws: ``RedisError/start(_:)`` with the server's log.
  public init(
    arguments: [String] = [], listen listener: Listener = .unixSocket,
    login: String? = nil, environment: [String: String] = [:]
  ) throws {
    let guardian = try Guardian()
    let launch = ServerLaunch(
      arguments: arguments, environment: environment, guardian: guardian)
    let process: ChildProcess
    switch listener {
    case .unixSocket:
      endpoint = .unixSocket(path: guardian.directory + "/socket")
      process = try launch.run(at: endpoint)
    case .tcp:
      (endpoint, process) = try launch.runAtFreePort()
    }
    directory = guardian.directory
    self.login = login
    state = Mutex(
      State(
        arguments: arguments, environment: environment, process: process, guardian: guardian))
  }

  deinit {
    stop()
  }

  /// The address in the form that the library takes.
  public var url: String { withLogin(endpoint.url) }

  /// Another URL that leads to the server, with the same user and password as ``url``.
  public func withLogin(_ url: String) -> String {
    login.map { url.replacing("://", with: "://\($0)@", maxReplacements: 1) } ?? url
  }

  /// The path of the socket, or `nil` for a TCP server.
  public var socketPath: String? {
    if case .unixSocket(let path) = endpoint { path } else { nil }
  }

  /// The port at 127.0.0.1, or `nil` for a server on a Unix socket.
  public var port: Int? {
    if case .tcp(let port) = endpoint { Int(port) } else { nil }
  }

  /// The number of the server's process, or `nil` if it was killed or stopped.
  public var processID: Int32? {
    state.withLock { $0.process?.id }
  }

  /// The server's log since its last start.
  public var log: String {
    ServerLaunch.log(in: directory)
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

  /// Resumes a paused server.
  public func resume() {
    state.withLock { state in
      state.process?.signal(SIGCONT)
      state.isPaused = false
    }
  }

  /// Kills the process with SIGKILL, and returns when it is gone.
  ///
  /// The folder stays for ``restart(adding:)``, including the data of an append-only server.
  public func kill() {
    state.withLock { Self.kill(&$0) }
  }

  /// Kills the server, and starts it again at the same address and in the same folder.
  ///
  /// - Parameter arguments: Arguments to add to the first ones, also for all later restarts.
  /// - Throws: ``RedisError/start(_:)`` with the server's log.
  public func restart(adding arguments: [String] = []) throws {
    try state.withLock { state in
      Self.kill(&state)
      guard let guardian = state.guardian else {
        throw RedisError.start("the server was stopped for good")
      }
      state.arguments += arguments
      let launch = ServerLaunch(
        arguments: state.arguments, environment: state.environment, guardian: guardian)
      state.process = try launch.run(at: endpoint)
    }
  }

  /// Kills the server for good and removes its folder.
  public func stop() {
    state.withLock { state in
      Self.kill(&state)
      state.guardian = nil
    }
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
