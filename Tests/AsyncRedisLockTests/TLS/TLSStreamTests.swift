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
        on: await open(server.url(trusting)), mayRepeatPassword: { _ in false })
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
      let peer = try Peer(identity)
      let stream = try await open("rediss://localhost:\(await peer.port())?\(trusting)")
      for text in ["first", "second", "third"] {
        // In OpenSSL's server, K asks for new keys on both sides.
        peer.type("K\n")
        await eventually { peer.hasReadAll }
        peer.type(text + "\n")
        var received = ""
        await eventually {
          received += try Self.read(stream)
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
      let peer = try Peer(identity)
      let stream = try await open("rediss://localhost:\(await peer.port())?\(trusting)")
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
        do throws(TransportError) { _ = try Self.read(stream) } catch { failure = error }
        return failure != nil
      }
      #expect(
        failure == .protocolViolation("an endless stream of TLS records without data"))
      #expect(!stream.isIdle)
    }

    @Test("Little data in large records with padding is no flood")
    func padding() async throws {
      let peer = try Peer(identity, ["-record_padding", "16384"])
      let stream = try await open("rediss://localhost:\(await peer.port())?\(trusting)")
      for number in 0..<20 {
        peer.type("\(number)\n")
        var received = ""
        await eventually {
          received += try Self.read(stream)
          return received == "\(number)\n"
        }
      }
    }

    @Test("What is written in the middle of a ticket is sent behind its end")
    func ticketInPieces() async throws {
      let own = try certificates.make("client", names: ["DNS:client"])
      // A ticket contains the client's certificate, so it takes several records.
      let authority = certificates.authority.certificate
      let peer = try Peer(
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
      let stream = try await open(
        "\(url)?\(trusting)&cert=\(own.certificate)&key=\(own.key)")
      await eventually { count.value >= 2 }
      #expect(stream.isIdle)
      try Self.write("hello\n", to: stream)
      await eventually {
        _ = try Self.read(stream)
        return peer.output.contains("hello\n")
      }
    }

    @Test("A server with old versions of TLS is refused", arguments: ["-tls1", "-tls1_1"])
    func oldVersion(option: String) async throws {
      let peer = try Peer(identity, [option, "-cipher", "DEFAULT:@SECLEVEL=0"])
      let url = "rediss://localhost:\(await peer.port())?\(trusting)"
      await expectError(.tlsFailed) { try await Locker(url: url) }
    }

    @Test("The end of the session ends the stream, behind the last bytes")
    func end() async throws {
      let peer = try Peer(identity)
      let stream = try await open("rediss://localhost:\(await peer.port())?\(trusting)")
      peer.type("last\n")
      var received = ""
      await eventually {
        received += try Self.read(stream)
        return received == "last\n"
      }
      peer.type("Q\n")
      await eventually {
        do throws(TransportError) {
          _ = try Self.read(stream)
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
      let stream = try await open(url + "?" + trusting)
      try Self.write("PING\r\n", to: stream)
      var received = ""
      await eventually {
        received += try Self.read(stream)
        return received == "+PONG\r\n"
      }
      proxy.setScript { $0.direction == .replies ? .duplicate : .forward }
      try Self.write("PING\r\n", to: stream)
      var failure: TransportError?
      await eventually {
        do throws(TransportError) { _ = try Self.read(stream) } catch { failure = error }
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

    private func open(_ url: String) async throws -> any ByteStream {
      let opener = SocketOpener(try LockerConfiguration(url: url))
      return try await withCheckedThrowingContinuation { continuation in
        opener.open(by: .now + .seconds(5)) { continuation.resume(with: $0.mapError { $0 }) }
      }
    }

    private static func read(_ stream: any ByteStream) throws(TransportError) -> String {
      var bytes = [UInt8](repeating: 0, count: 4096)
      let result: Result<Int, TransportError> = unsafe bytes.withUnsafeMutableBytes { buffer in
        Result { () throws(TransportError) in try unsafe stream.read(into: buffer) }
      }
      return String(decoding: bytes.prefix(try result.get()), as: UTF8.self)
    }

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

  /// OpenSSL's own server, which takes commands at its standard input.
  private final class Peer: Sendable {
    private let process = Process()
    private let input = Pipe()
    /// A copy of the server's end of its input; `Process` closes the other.
    private let inputEnd: FileHandle
    private let pieces = Recorder<String>()

    init(_ identity: Certificates.Identity, _ options: [String] = []) throws {
      let output = Pipe()
      inputEnd = FileHandle(
        fileDescriptor: dup(input.fileHandleForReading.fileDescriptor), closeOnDealloc: true)
      process.executableURL = URL(filePath: "/usr/bin/env")
      process.arguments =
        [
          "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", identity.certificate, "-key",
          identity.key, "-naccept", "1",
        ] + options
      process.standardInput = input
      process.standardOutput = output
      process.standardError = FileHandle.nullDevice
      output.fileHandleForReading.readabilityHandler = { [pieces] handle in
        pieces.record(String(decoding: handle.availableData, as: UTF8.self))
      }
      try process.run()
    }

    deinit { process.terminate() }

    /// What the server has printed, with all that it has received.
    var output: String { pieces.values.joined() }

    func type(_ line: String) { input.fileHandleForWriting.write(Data(line.utf8)) }

    /// Whether it has read all that was typed: it takes a command only at the beginning of what it reads.
    var hasReadAll: Bool {
      var entry = pollfd(fd: inputEnd.fileDescriptor, events: Int16(POLLIN), revents: 0)
      return unsafe poll(&entry, 1, 0) == 0
    }

    /// The port that it listens at.
    func port() async -> String {
      var port: Substring?
      await eventually {
        port = output.firstMatch(of: /ACCEPT [^\n]*:([0-9]+)\n/)?.1
        return port != nil
      }
      return port.map(String.init) ?? "1"
    }
  }
#endif
