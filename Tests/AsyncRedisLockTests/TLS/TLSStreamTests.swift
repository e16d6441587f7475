#if TLS
  import FaultProxy
  import Foundation
  import PrivateRedis
  import Testing

  @testable import AsyncRedisLock

  @Suite("An encrypted stream", .timeLimit(.minutes(2)), .serialized)
  struct TLSStreamTests {
    private let certificates: Certificates
    private let identity: Certificates.Identity

    init() throws {
      certificates = try Certificates()
      identity = try certificates.make("good", names: ["DNS:localhost"])
    }

    @Test(
      "It carries as many bytes in both directions as a plain one",
      arguments: ["TLSv1.2", "TLSv1.3"])
    func large(version: String) async throws {
      let server = try TLSServer(
        identity, authority: certificates.authority, arguments: ["--tls-protocols", version])
      var commands = try CommandStream(
        on: await openStream(server.url(trusting)), mayRepeatPassword: { _ in false })
      // More than a socket's buffer, and almost the longest reply that is accepted.
      let text = String(repeating: "0123456789", count: 100_000)
      commands.append(Command("SET", "large", text))
      commands.append(Command("GET", "large"))
      #expect(try await replies(2, &commands) == [.status("OK"), .string(text)])
      // Tickets and the like leave it idle.
      let isIdle = commands.isIdle
      #expect(isIdle)
      commands.append(Command("PING"))
      #expect(try await replies(1, &commands) == [.status("PONG")])
    }

    @Test("It goes on when the server changes the keys, and answers that")
    func keyUpdate() async throws {
      let peer = try OpenSSLServer(identity)
      let stream = try await openStream("rediss://localhost:\(await peer.port())?\(trusting)")
      for text in ["first", "second", "third"] {
        // In OpenSSL's server, K asks for new keys on both sides.
        peer.type("K\n")
        await eventually { peer.hasReadAll }
        peer.type(text + "\n")
        var received = ""
        await eventually {
          received += try readText(stream)
          return received == text + "\n"
        }
        #expect(stream.isIdle)
        let line = Array("answer to \(text)\n".utf8)
        #expect(try unsafe line.withUnsafeBytes { try unsafe stream.write($0) } == line.count)
        await eventually { peer.output.contains("answer to \(text)\n") }
      }
      #expect(!stream.hasBufferedOutput)
    }

    @Test(
      "A flood of records without data ends the stream, whether it is read or looked at",
      arguments: [true, false])
    func flood(isLookedAt: Bool) async throws {
      let peer = try OpenSSLServer(identity)
      let stream = try await openStream("rediss://localhost:\(await peer.port())?\(trusting)")
      // New keys take 27 bytes.
      try await onThread {
        let end = ContinuousClock.now + .seconds(20)
        for _ in 0..<3000 {
          peer.type("k\n")
          while !peer.hasReadAll, ContinuousClock.now < end { sched_yield() }
        }
      }
      if isLookedAt { #expect(!stream.isIdle) }
      var failure: TransportError?
      await eventually {
        do throws(TransportError) { _ = try readText(stream) } catch { failure = error }
        return failure != nil
      }
      #expect(
        failure == .protocolViolation("an endless stream of TLS records without data"))
      #expect(!stream.isIdle)
    }

    @Test("Little data in large records with padding is no flood")
    func padding() async throws {
      let peer = try OpenSSLServer(identity, ["-record_padding", "16384"])
      let stream = try await openStream("rediss://localhost:\(await peer.port())?\(trusting)")
      for number in 0..<20 {
        peer.type("\(number)\n")
        var received = ""
        await eventually {
          received += try readText(stream)
          return received == "\(number)\n"
        }
      }
    }

    @Test("What is written in the middle of a ticket is sent behind its end")
    func ticketInPieces() async throws {
      let own = try certificates.make("client", names: ["DNS:client"])
      // A ticket contains the client's certificate, so it takes several records.
      let authority = certificates.authority.certificate
      let peer = try OpenSSLServer(
        identity, ["-max_send_frag", "512", "-verify", "1", "-CAfile", authority, "-tls1_3"])
      let plain = try RedisServer()
      defer { plain.stop() }
      let proxy = try FaultProxy(to: plain, port: Int(await peer.port()))
      defer { proxy.stop() }
      let (hasAnswered, count) = (Shared(false), Shared(0))
      proxy.setScript { message in
        guard MessageSplitter.isApplicationRecord(message.bytes) else { return .forward }
        guard message.direction == .replies else {
          hasAnswered.value = true
          return .forward
        }
        guard hasAnswered.value else { return .forward }
        count.value += 1
        return count.value == 2 ? .delay(.milliseconds(500)) : .forward
      }
      let url = proxy.url.replacing("redis://127.0.0.1", with: "rediss://localhost")
      let stream = try await openStream(
        "\(url)?\(trusting)&cert=\(own.certificate)&key=\(own.key)")
      await eventually { count.value >= 2 }
      #expect(stream.isIdle)
      try Self.write("hello\n", to: stream)
      await eventually {
        _ = try readText(stream)
        return peer.output.contains("hello\n")
      }
    }

    @Test(
      "A server with old versions of TLS is refused, and one with the same cipher and a new one is not",
      arguments: [("-tls1", true), ("-tls1_1", true), ("-tls1_2", false)])
    func oldVersion(option: String, isOld: Bool) async throws {
      // With a key of another kind or a newer cipher, OpenSSL itself refuses the old versions.
      let identity = try certificates.make("old", names: ["DNS:localhost"], isRSA: true)
      let peer = try OpenSSLServer(identity, [option, "-cipher", "AES128-SHA:@SECLEVEL=0"])
      let url = "rediss://localhost:\(await peer.port())?\(trusting)"
      if isOld {
        await expectError(.tlsFailed) { try await Locker(url: url) }
      } else {
        #expect(try await openStream(url).isIdle)
      }
    }

    @Test("The end of the session ends the stream, behind the last bytes")
    func end() async throws {
      let peer = try OpenSSLServer(identity)
      let stream = try await openStream("rediss://localhost:\(await peer.port())?\(trusting)")
      peer.type("last\n")
      var received = ""
      await eventually {
        received += try readText(stream)
        return received == "last\n"
      }
      peer.type("Q\n")
      await eventually {
        do throws(TransportError) {
          _ = try readText(stream)
          return false
        } catch {
          return error == .connectionLost("Server closed the connection")
        }
      }
      #expect(!stream.isIdle)
    }

    @Test("After a record that cannot be decrypted, reading and writing find the connection lost")
    func spoiltRecord() async throws {
      let server = try TLSServer(identity, authority: certificates.authority)
      defer { server.plain.stop() }
      let proxy = try FaultProxy(to: server.plain, port: server.port)
      let url = proxy.url.replacing("redis://127.0.0.1", with: "rediss://localhost")
      let stream = try await openStream(url + "?" + trusting)
      try Self.write("PING\r\n", to: stream)
      var received = ""
      await eventually {
        received += try readText(stream)
        return received == "+PONG\r\n"
      }
      proxy.setScript { $0.direction == .replies ? .duplicate : .forward }
      try Self.write("PING\r\n", to: stream)
      var failure: TransportError?
      await eventually {
        do throws(TransportError) { _ = try readText(stream) } catch { failure = error }
        return failure != nil
      }
      guard case .connectionLost? = failure, let failure else {
        Issue.record("\(String(describing: failure))")
        return
      }
      #expect(throws: failure) { try Self.write("PING\r\n", to: stream) }
    }

    // MARK: Helpers

    private static func write(
      _ text: String, to stream: any ByteStream
    ) throws(TransportError) {
      let result: Result<Int, TransportError> = unsafe Array(text.utf8).withUnsafeBytes { bytes in
        Result { () throws(TransportError) in try unsafe stream.write(bytes) }
      }
      #expect(try result.get() == text.utf8.count)
    }

    private var trusting: String { "cacert=\(certificates.authority.certificate)" }

    /// Sends what is to be sent, and receives so many replies.
    private func replies(
      _ count: Int, _ commands: inout CommandStream
    ) async throws -> [Reply] {
      let poller = try SocketPoller()
      var replies: [Reply] = []
      let end = Instant.now + .seconds(20)
      while replies.count < count, Instant.now < end {
        let readiness = poller.wait(
          for: commands.stream, toWrite: commands.hasUnsentBytes, until: .now + .milliseconds(100))
        if readiness.canWrite { try commands.write() }
        if readiness.canRead { _ = try commands.read() }
        while let reply = try commands.nextReply() { replies.append(reply) }
      }
      return replies
    }
  }
#endif
