#if TLS
  import PrivateRedis
  import Testing

  @testable import AsyncRedisLock

  @Suite("A session with OpenSSL's own server", .timeLimit(.minutes(1)), .serialized)
  struct TLSPeerTests {
    private let certificates: Certificates
    private let identity: Certificates.Identity

    init() throws {
      certificates = try Certificates()
      identity = try certificates.make("good", names: ["DNS:localhost"])
    }

    private func open(_ peer: OpenSSLServer, host: String = "localhost") async throws
      -> any ByteStream
    {
      let authority = certificates.authority.certificate
      return try await openStream("rediss://\(host):\(await peer.port())?cacert=\(authority)")
    }

    /// Exchanges a line in both directions: behind it, all that the server has printed before is there.
    private func exchange(
      _ text: String, over stream: any ByteStream, with peer: OpenSSLServer
    ) async throws {
      peer.type(text + "\n")
      await expectText(text + "\n", from: stream)
      let answer = Array("answer to \(text)\n".utf8)
      #expect(try unsafe answer.withUnsafeBytes { try unsafe stream.write($0) } == answer.count)
      await eventually { peer.output.contains("answer to \(text)\n") }
    }

    @Test(
      "The client tells which name it asks for, and tells no address",
      arguments: [("localhost", true), ("127.0.0.1", false)])
    func serverName(host: String, isTold: Bool) async throws {
      // The certificate for the name is shown only to a client that asks for the name.
      let other = try certificates.make("other", names: ["IP:127.0.0.1"])
      let peer = try OpenSSLServer(
        other, ["-cert2", identity.certificate, "-key2", identity.key, "-servername", "localhost"])
      try await exchange("text", over: try await open(peer, host: host), with: peer)
      #expect(
        peer.output.contains("Hostname in TLS extension: \"localhost\"") == isTold, "\(peer.output)"
      )
      #expect(peer.output.contains("Hostname in TLS extension") == isTold, "\(peer.output)")
    }

    @Test("A server that wants to renegotiate is left")
    func renegotiation() async throws {
      let peer = try OpenSSLServer(identity, ["-tls1_2"])
      let stream = try await open(peer)
      try await exchange("text", over: stream, with: peer)
      // OpenSSL's server asks for it, and takes the refusal for the end.
      peer.type("r\n")
      var failure: TransportError?
      await eventually {
        do throws(TransportError) { _ = try readText(stream) } catch { failure = error }
        return failure != nil
      }
      guard case .connectionLost? = failure else {
        Issue.record("\(String(describing: failure))")
        return
      }
      #expect(!stream.isIdle)
    }

    @Test(
      "No connection takes up the session of an earlier one", arguments: ["-tls1_2", "-tls1_3"])
    func resumption(version: String) async throws {
      let peer = try OpenSSLServer(identity, ["-naccept", "2", version])
      for number in 1...2 {
        // With the data comes the ticket by which a session could be taken up.
        try await exchange("text \(number)", over: try await open(peer), with: peer)
        #expect(peer.output.split(separator: "CIPHER is").count == number + 1, "\(peer.output)")
      }
      #expect(!peer.output.contains("Reused session-id"), "\(peer.output)")
    }

    @Test("A stream that is dropped tells the server that it has ended, and waits for no answer")
    func dropped() async throws {
      let peer = try OpenSSLServer(identity)
      var stream: (any ByteStream)? = try await open(peer)
      if let stream { try await exchange("text", over: stream, with: peer) }
      peer.setPaused(true)
      let start = ContinuousClock.now
      stream = nil
      #expect(start.duration(to: .now) < .inTime)
      peer.setPaused(false)
      // Without a word from the client, it says ERROR.
      await eventually { peer.output.contains("DONE\n") }
      #expect(!peer.output.contains("ERROR\n"), "\(peer.output)")
    }
  }
#endif
