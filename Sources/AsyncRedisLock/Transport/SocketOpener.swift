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

  /// What is under way for a stream, such as connecting.
  protocol Attempt: Sendable {
    /// Closes the stream, and forgets the completion.
    func cancel()
  }

  private struct State {
    var attempt: (any Attempt)?
    var isCancelled = false
  }

  private let address: LockerConfiguration.Address
  private let tls: LockerConfiguration.TLS?

  private let resolver = Resolver()
  private let state = Locked(State())
  private let queue = DispatchQueue(label: "async-redis-lock.opener", qos: .userInteractive)

  init(_ configuration: LockerConfiguration) {
    address = configuration.address
    tls = configuration.tls
  }

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
    connect(to: target, by: Instant.now + share) { [self] result in
      switch result {
      case .success: completion(result)
      case .failure(let next):
        // What a server has answered says more than that there is none at another address.
        let failure = if case .tlsFailed = failure { failure } else { next }
        tryNext(of: targets.dropFirst(), after: failure, by: deadline, completion: completion)
      }
    }
  }

  private func connect(
    to target: SocketAddress, by deadline: Instant, completion: @escaping Completion
  ) {
    let number = socket(target.family, SocketAddress.streamType, 0)
    guard number >= 0 else { return completion(.failure(unreachable(.current))) }
    let socket = FileDescriptor(adopting: number)
    setOptions(of: number, family: target.family)
    if target.connect(number) == 0 {
      return secure(SocketStream(adopting: socket), by: deadline, completion: completion)
    }
    let failure = SystemError.current
    // If the backlog of a Unix socket is full, connect(2) fails with EAGAIN, which cannot be waited for.
    guard failure.rawValue == EINPROGRESS || failure.rawValue == EINTR else {
      return completion(.failure(unreachable(failure)))
    }
    let attempt = ConnectionAttempt(on: socket)
    guard begin(attempt) else { return }
    do throws(TransportError) {
      try attempt.wait(until: deadline, on: queue) { [self] outcome in
        switch outcome {
        case .connected(let stream): secure(stream, by: deadline, completion: completion)
        case .failed(let error): completion(.failure(unreachable(error)))
        case .timedOut:
          completion(.failure(.unreachable("no answer to the connection attempt")))
        }
      }
    } catch {
      completion(.failure(error))
    }
  }

  /// Notes what is under way; returns false if all has been cancelled.
  private func begin(_ attempt: any Attempt) -> Bool {
    state.withLock { state in
      // What is not kept closes its socket.
      state.attempt = state.isCancelled ? nil : attempt
      return !state.isCancelled
    }
  }

  /// Passes on the stream, encrypted if that is configured.
  private func secure(
    _ socket: SocketStream, by deadline: Instant, completion: @escaping Completion
  ) {
    guard let tls else { return completion(.success(socket)) }
    #if TLS
      // Reads files, which a caller's thread must not do.
      queue.async { [self] in shakeHands(on: socket, tls, by: deadline, completion: completion) }
    #else
      completion(.failure(.tlsFailed("TLS is not built in")))
    #endif
  }

  #if TLS
    private func shakeHands(
      on socket: SocketStream, _ options: LockerConfiguration.TLS, by deadline: Instant,
      completion: @escaping Completion
    ) {
      guard case .tcp(let host, _) = address.kind else { return }
      do throws(TransportError) {
        let stream = try TLSStream(
          on: socket, in: .of(options), with: TLSPeer(host: host, serverName: options.serverName))
        let handshake = TLSHandshake(on: stream)
        guard begin(handshake) else { return }
        handshake.run(until: deadline, on: queue, completion: completion)
      } catch {
        completion(.failure(error))
      }
    }
  #endif

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
