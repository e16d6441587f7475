internal import Dispatch
internal import Synchronization

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// Opens sockets to one server, trying every address until a deadline, without blocking a thread.
///
/// hiredis would neither limit the look-up of a name nor try a second address. Dispatch has a limited number of
/// threads: if threads waited for servers that do not answer, they would be missing for healthy ones.
final class SocketOpener: StreamOpener {
  private typealias Completion = @Sendable (Result<any ByteStream, TransportError>) -> Void

  private let address: LockerConfiguration.Address
  private struct State {
    var attempt: ConnectionAttempt?
    var isCancelled = false
  }

  private let resolver = Resolver()
  private let state = Locked(State())
  private let queue = DispatchQueue(label: "async-redis-lock.opener", qos: .userInteractive)

  init(address: LockerConfiguration.Address) { self.address = address }

  func open(
    by deadline: Instant,
    completion: @escaping @Sendable (Result<any ByteStream, TransportError>) -> Void
  ) {
    resolver.resolve(address, by: deadline, on: queue) { [self] result in
      switch result {
      case .success(let targets):
        tryNext(
          of: targets[...], after: .unreachable("no address"), by: deadline, completion: completion)
      case .failure(let failure): completion(.failure(failure))
      }
    }
  }

  func cancel() {
    let attempt = state.withLock { state in
      state.isCancelled = true
      return state.attempt.take()
    }
    attempt?.cancel()
  }

  private func tryNext(
    of targets: ArraySlice<SocketAddress>, after failure: TransportError, by deadline: Instant,
    completion: @escaping Completion
  ) {
    guard let target = targets.first else { return completion(.failure(failure)) }
    // If one address swallows everything, the others keep their share of the time.
    let share = max(Instant.now.duration(to: deadline), .zero) / targets.count
    connect(to: target, within: share) { [self] result in
      switch result {
      case .success: completion(result)
      case .failure(let failure):
        tryNext(of: targets.dropFirst(), after: failure, by: deadline, completion: completion)
      }
    }
  }

  private func connect(
    to target: SocketAddress, within patience: Duration, completion: @escaping Completion
  ) {
    let number = socket(target.family, SocketAddress.streamType, 0)
    guard number >= 0 else { return completion(.failure(unreachable(.current))) }
    let socket = FileDescriptor(adopting: number)
    setOptions(of: number, family: target.family)
    if target.connect(number) == 0 {
      return completion(.success(SocketStream(adopting: socket)))
    }
    let failure = SystemError.current
    // If the backlog of a Unix socket is full, connect(2) fails with EAGAIN, which cannot be waited for.
    guard failure.rawValue == EINPROGRESS || failure.rawValue == EINTR else {
      return completion(.failure(unreachable(failure)))
    }
    let attempt = ConnectionAttempt(on: socket)
    let isCancelled = state.withLock { state in
      // What is not kept closes its socket.
      state.attempt = state.isCancelled ? nil : attempt
      return state.isCancelled
    }
    guard !isCancelled else { return }
    do throws(TransportError) {
      try attempt.wait(for: patience, on: queue) { [self] outcome in
        switch outcome {
        case .connected(let stream): completion(.success(stream))
        case .failed(let error): completion(.failure(unreachable(error)))
        case .timedOut:
          completion(.failure(.unreachable("no answer to the connection attempt")))
        }
      }
    } catch {
      completion(.failure(error))
    }
  }

  private func setOptions(of number: CInt, family: CInt) {
    #if canImport(Darwin)
      set(SOL_SOCKET, SO_NOSIGPIPE, 1, of: number)
    #endif
    guard family != AF_UNIX else { return }
    set(CInt(IPPROTO_TCP), TCP_NODELAY, 1, of: number)
    // Detects a peer that vanished silently while the connection was idle: after 15 s, then three probes 5 s
    // apart.
    set(SOL_SOCKET, SO_KEEPALIVE, 1, of: number)
    #if canImport(Darwin)
      set(CInt(IPPROTO_TCP), TCP_KEEPALIVE, 15, of: number)
    #else
      set(CInt(IPPROTO_TCP), TCP_KEEPIDLE, 15, of: number)
    #endif
    set(CInt(IPPROTO_TCP), TCP_KEEPINTVL, 5, of: number)
    set(CInt(IPPROTO_TCP), TCP_KEEPCNT, 3, of: number)
  }

  private func set(_ level: CInt, _ option: CInt, _ value: CInt, of number: CInt) {
    var value = value
    _ = unsafe setsockopt(number, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
  }

  private func unreachable(_ error: SystemError) -> TransportError {
    .unreachable("\(address): \(error)")
  }
}
