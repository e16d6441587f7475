#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// What connections are made of: the time, threads and sockets of a machine, or what a simulation has in their place.
package protocol Machine: Sendable {
  /// The time that everything goes by.
  var clock: LockClock { get }

  /// What tokens and pauses are drawn from.
  var randomness: Randomness { get }

  /// The number of the process that runs on it.
  var processID: Int32 { get }

  /// Makes a queue of its own.
  func makeQueue(_ label: String, _ urgency: Urgency) -> any WorkQueue

  /// Makes what one thread at a time can wait with.
  ///
  /// - Throws: `unreachable` when the system has nothing left to make it of.
  func makePoller() throws(TransportError) -> any Poller

  /// Makes what opens streams to a server.
  func makeOpener(of address: LockerConfiguration.Address) -> any StreamOpener
}

/// Opens streams to one server.
package protocol StreamOpener: Sendable {
  /// Connects without blocking a thread; the completion is called once, at the deadline at the latest.
  func open(
    by deadline: Instant,
    completion: @escaping @Sendable (Result<any ByteStream, TransportError>) -> Void)

  /// Gives up what is being opened, for good; its completion may be called or not.
  func cancel()
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

  func makeOpener(of address: LockerConfiguration.Address) -> any StreamOpener {
    SocketOpener(address: address)
  }
}
