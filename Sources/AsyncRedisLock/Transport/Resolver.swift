internal import Dispatch
internal import Synchronization

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// Looks up the addresses of a server within a time limit, though the system's look-up has none.
///
/// If a look-up hangs, the addresses found last are used meanwhile.
final class Resolver: Sendable {
  typealias Completion = @Sendable (Result<[SocketAddress], TransportError>) -> Void

  private struct State {
    var known: [SocketAddress] = []
    /// The completion that waits for the look-up under way; earlier ones have given up.
    var answer: Once?
  }

  private let state = Locked(State())

  /// Passes on the server's addresses, in the order to try them, once and by the deadline.
  func resolve(
    _ address: LockerConfiguration.Address, by deadline: Instant, on queue: DispatchQueue,
    completion: @escaping Completion
  ) {
    switch address.kind {
    case .unixSocket(let path):
      completion(
        SocketAddress(path: path).map { .success([$0]) }
          ?? .failure(.unreachable("the socket's path is too long")))
    case .sentinels:
      completion(.failure(.unreachable("only sentinels know the address")))
    case .cluster:
      completion(.failure(.unreachable("it is the address of several nodes")))
    case .tcp(let host, let port):
      // An address needs no look-up, so it must not wait behind one that hangs.
      let numeric = LookUp.addresses(of: host, port, flags: AI_NUMERICHOST)
      if case .success = numeric { return completion(numeric) }
      lookUp(host, port, by: deadline, on: queue, completion: completion)
    }
  }

  private func lookUp(
    _ host: String, _ port: UInt16, by deadline: Instant, on queue: DispatchQueue,
    completion: @escaping Completion
  ) {
    let answer = Once(completion)
    let former = state.withLock { state in
      state.answer = answer
      return state.known
    }
    LookUp.of(host, port, for: self)
    // If there are addresses to fall back on, half of the time is kept for connecting to them.
    let left = max(Instant.now.duration(to: deadline), .zero) / (former.isEmpty ? 1 : 2)
    queue.asyncAfter(deadline: .now() + .nanoseconds(Int(left.wholeNanoseconds))) {
      answer(
        former.isEmpty
          ? .failure(.unreachable("looking up \(host) took too long")) : .success(former))
    }
  }

  /// Processes the result of a look-up.
  func found(_ result: Result<[SocketAddress], TransportError>) {
    let (former, answer) = state.withLock { state in
      let former = state.known
      if case .success(let found) = result { state.known = found }
      return (former, state.answer.take())
    }
    if case .failure = result, !former.isEmpty {
      answer?(.success(former))
    } else {
      answer?(result)
    }
  }
}

/// A completion that counts only its first call.
private final class Once: Sendable {
  private let completion: Locked<Resolver.Completion?>

  init(_ completion: @escaping Resolver.Completion) { self.completion = Locked(completion) }

  func callAsFunction(_ result: Result<[SocketAddress], TransportError>) {
    completion.withLock { $0.take() }?(result)
  }
}
