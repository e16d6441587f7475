#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// The time, threads and sockets of a machine for connections, or a simulation of them.
package protocol Machine: Sendable {
  /// The clock for everything on the machine.
  var clock: LockClock { get }

  /// The source of randomness for tokens and pauses.
  var randomness: Randomness { get }

  /// The id of the process that runs on it.
  var processID: Int32 { get }

  /// Makes a separate queue.
  func makeQueue(_ label: String, _ urgency: Urgency) -> any WorkQueue

  /// Makes a poller, in which one thread at a time can wait.
  ///
  /// - Throws: `unreachable` if the system lacks the resources.
  func makePoller() throws(TransportError) -> any Poller

  /// Runs code of the program on a thread where nothing else waits for it: it may block for as long as it likes.
  func runForProgram(_ work: @escaping @Sendable () -> Void)

  /// Makes an opener of streams to the server of a configuration.
  func makeOpener(for configuration: LockerConfiguration) -> any StreamOpener
}

/// Opens streams to one server.
package protocol StreamOpener: Sendable {
  /// Connects without blocking a thread; the completion is called once, at the deadline at the latest.
  func open(
    by deadline: Instant,
    completion: @escaping @Sendable (Result<any ByteStream, TransportError>) -> Void)

  /// Gives up the attempt under way, for good; its completion may or may not be called.
  func cancel()

  /// Notes that the stream opened last led to a server of the wrong role.
  func noteWrongServer()
}

extension StreamOpener {
  /// Does nothing: there is no other way to the server.
  package func noteWrongServer() {}
}

/// The machine that the program runs on.
struct HostMachine: Machine {
  var clock: LockClock { .system }

  var randomness: Randomness { .system }

  var processID: Int32 { getpid() }

  func makeQueue(_ label: String, _ urgency: Urgency) -> any WorkQueue {
    DispatchWorkQueue(label, urgency)
  }

  func makePoller() throws(TransportError) -> any Poller { try SocketPoller() }

  func runForProgram(_ work: @escaping @Sendable () -> Void) { ProgramExecutor.shared.run(work) }

  func makeOpener(for configuration: LockerConfiguration) -> any StreamOpener {
    SocketOpener(configuration)
  }
}
