extension LockerConfiguration {
  /// A server to ask, of those that a configuration leads to.
  package enum Peer: Sendable, Hashable {
    case sentinel(Address.Sentinel)
    /// The primary, or a replica of it, with the primary's user and password.
    case server(Address)
  }

  /// The answer of one server.
  package struct PeerAnswer: Sendable {
    package let replies: [Reply]
    /// How long the replies took.
    package let roundTrip: Duration
    /// The server's certificate; nil without TLS.
    package let certificate: ServerCertificate?
  }

  /// Asks one server some commands, on a connection of their own, for tools that inspect servers.
  ///
  /// - Throws: ``LockError`` if there is no answer within the connect timeout and the operation timeout.
  package func ask(_ peer: Peer, _ commands: [[String]]) async throws(LockError) -> PeerAnswer {
    let machine = HostMachine()
    let (configuration, isSentinel) =
      switch peer {
      case .sentinel(let sentinel): (leading(toSentinel: sentinel), true)
      case .server(let address): (leading(to: address), false)
      }
    let reader = CertificateReader(machine.makeOpener(for: configuration))
    do throws(TransportError) {
      let connection = try Connection(
        configuration, over: reader, isSentinel: isSentinel, reporter: nil, on: machine)
      defer { connection.close() }
      // For the login alone, so that the time of the answer is its own.
      _ = try await connection.answer(to: [], within: configuration.connectTimeout)
      let start = machine.clock.now
      let replies = try await connection.answer(
        to: commands.map { Command($0) }, within: configuration.operationTimeout)
      return PeerAnswer(
        replies: replies, roundTrip: start.duration(to: machine.clock.now),
        certificate: reader.certificate)
    } catch {
      throw LockError(StoreFailure(error), keys: [], phase: .inspect)
    }
  }
}

extension Connection {
  fileprivate func answer(
    to commands: [Command], within patience: Duration
  ) async throws(TransportError) -> [Reply] {
    let promise = Promise<Result<[Reply], TransportError>>()
    let request = Request(commands, deadline: clock.now + patience) { result in
      promise.fulfil(result.map { Array($0.replies) })
    }
    let result = await withTaskCancellationHandler {
      submit(request)
      return await promise.value
    } onCancel: {
      abandon(request)
    }
    return try result.get()
  }
}
