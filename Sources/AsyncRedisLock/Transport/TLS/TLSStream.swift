#if TLS
  internal import Synchronization

  /// A socket whose bytes are encrypted.
  final class TLSStream: ByteStream {
    @safe private struct State: ~Copyable {
      let session: TLSSession
      /// Encrypted bytes that the socket has not taken yet.
      let output: UnsafeMutableRawBufferPointer
      var sent = 0
      var taken = 0
      /// Whether decrypted bytes are left since there was no room for them.
      var hasInput = false
      /// Whether bytes have been read: the server has accepted this client.
      var isProven = false
      /// What could not be encrypted yet, since a message of the server is not complete.
      var waiting: [UInt8] = []
      /// How many encrypted bytes may arrive before there has to be a byte of data.
      var patience = TLSStream.longestHandshake
      /// What has ended the stream; told behind the last bytes.
      var failure: TransportError?

      init(_ session: consuming TLSSession) {
        self.session = session
        unsafe output = .allocate(byteCount: TLSStream.bufferSize, alignment: 1)
      }

      deinit { unsafe output.deallocate() }

      var hasOutput: Bool { sent < taken }

      /// Notes data, behind which there may be as many bytes without as before.
      mutating func noteData() {
        isProven = true
        patience = TLSStream.longestSilence
      }
    }

    /// One record of 16 KiB, and what encryption adds.
    private static let bufferSize = 17 * 1024
    /// How much is encrypted before the socket is tried: a socket's buffer, roughly.
    private static let batchSize = 64 * 1024
    /// The largest handshake in bytes: twice the longest chain of certificates that OpenSSL accepts.
    private static let longestHandshake = 200 * 1024
    /// How many bytes of tickets, new keys and the like may follow each other: a server has reason for a few of them.
    ///
    /// Reading them takes time, during which no deadline is looked at. Records with data do not count, however much
    /// of them is padding, which RFC 8446 allows.
    private static let longestSilence = 64 * 1024
    /// How many encrypted bytes are read in one call at most, once there is data.
    private static let largestTurn = 64 * 1024
    /// How much may wait for the end of a message of the server.
    private static let mostWaiting = 1 << 20

    private let socket: SocketStream
    private let peer: TLSPeer
    private let state: Locked<State>

    /// Begins a session on a connected socket.
    init(
      on socket: SocketStream, in context: TLSContext, with peer: TLSPeer
    ) throws(TransportError) {
      self.socket = socket
      self.peer = peer
      state = Locked(State(try TLSSession(in: context, with: peer)))
    }

    deinit {
      state.withLock { state in
        // A fatal error allows no further record.
        guard state.failure == nil, state.isProven else { return }
        state.session.end()
        try? flush(&state)
      }
    }

    var descriptor: CInt? { socket.descriptor }

    var hasBufferedInput: Bool { state.withLock { $0.hasInput || $0.failure != nil } }

    var hasBufferedOutput: Bool { state.withLock { $0.hasOutput } }

    var certificate: ServerCertificate? { state.withLock { $0.session.certificate(for: peer) } }

    /// Tickets, which a server sends unasked, are neither input nor a hang-up: so it has to read them.
    var isIdle: Bool {
      state.withLock { state in
        look(&state)
        return !state.hasInput && state.failure == nil
      }
    }

    /// The state of a handshake.
    enum Progress {
      case complete
      /// The socket has to become readable, or writable.
      case waiting(toWrite: Bool)
    }

    /// Goes on with the handshake as far as possible.
    func shakeHands() throws(TransportError) -> Progress {
      let result: Result<Progress, TransportError> = state.withLock { state in
        Result { () throws(TransportError) in
          while true {
            let isComplete: Bool
            do throws(TransportError) {
              isComplete = try state.session.shakeHands()
            } catch {
              // The alert tells the server why.
              try? flush(&state)
              throw error
            }
            try flush(&state)
            if state.hasOutput { return .waiting(toWrite: true) }
            if isComplete {
              state.patience = Self.longestSilence
              return .complete
            }
            guard try receive(&state) > 0 else { return .waiting(toWrite: false) }
          }
        }
      }
      return try result.get()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(TransportError) -> Int {
      let destination = unsafe Lent(bytes: buffer)
      let result: Result<Int, TransportError> = state.withLock { state in
        Result { () throws(TransportError) in try unsafe read(into: destination.bytes, &state) }
      }
      return try result.get()
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(TransportError) -> Int {
      let source = unsafe Lent(bytes: bytes)
      let result: Result<Int, TransportError> = state.withLock { state in
        Result { () throws(TransportError) in
          do throws(TransportError) {
            return try unsafe write(source.bytes, &state)
          } catch {
            // If the server has said why, as it does behind the handshake for a certificate that it needs, that is
            // the better answer. A session that has failed takes no more bytes, and does not say why.
            look(&state)
            if case .tlsFailed = error, let failure = state.failure { throw failure }
            if case .tlsFailed = state.failure, let failure = state.failure { throw failure }
            throw judge(error, state)
          }
        }
      }
      return try result.get()
    }

    /// Memory that the caller lends for the time of a call.
    @unsafe private struct Lent<Bytes>: @unchecked Sendable {
      let bytes: Bytes
    }

    // MARK: Under the mutex

    private func read(
      into buffer: UnsafeMutableRawBufferPointer, _ state: inout State
    ) throws(TransportError) -> Int {
      var count = 0
      var (mayHaveMore, receivedInAll) = (true, 0)
      while count < buffer.count, state.failure == nil {
        do throws(TransportError) {
          let room = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
          switch try unsafe state.session.read(into: room) {
          case .bytes(let more):
            count += more
            state.noteData()
          case .end: state.failure = .connectionLost("Server closed the connection")
          case .none:
            let isTurnOver = count > 0 && receivedInAll >= Self.largestTurn
            let received = mayHaveMore && !isTurnOver ? try receive(&state) : 0
            guard received > 0 else {
              try writeWaiting(&state)
              // Such as the answer to an update of the keys.
              try flush(&state)
              state.hasInput = mayHaveMore && isTurnOver
              return count
            }
            receivedInAll += received
            mayHaveMore = received == Self.bufferSize
          }
        } catch {
          state.failure = judge(error, state)
        }
      }
      state.hasInput = count == buffer.count
      if count == 0, let failure = state.failure {
        try? flush(&state)
        throw failure
      }
      return count
    }

    /// Reads until there are decrypted bytes, or there is nothing more; notes what it finds.
    private func look(_ state: inout State) {
      while !state.hasInput, state.failure == nil {
        do throws(TransportError) {
          switch try state.session.peek() {
          case .bytes: state.hasInput = true
          case .end: state.failure = .connectionLost("Server closed the connection")
          case .none:
            guard try receive(&state) == 0 else { continue }
            try writeWaiting(&state)
            return try flush(&state)
          }
        } catch {
          state.failure = judge(error, state)
        }
      }
    }

    /// An error in a stream that has worked is not about anyone's identity.
    private func judge(_ error: TransportError, _ state: borrowing State) -> TransportError {
      guard case .tlsFailed(let text) = error, state.isProven else { return error }
      return .connectionLost("TLS: \(text)")
    }

    private func write(
      _ bytes: UnsafeRawBufferPointer, _ state: inout State
    ) throws(TransportError) -> Int {
      try flush(&state)
      var count = 0
      while count < bytes.count, !state.hasOutput {
        let end = min(count + Self.batchSize, bytes.count)
        let part = unsafe UnsafeRawBufferPointer(rebasing: bytes[count..<end])
        count = end
        guard state.waiting.isEmpty, try unsafe state.session.write(part) else {
          // The socket would take more, so the caller must not wait for that.
          unsafe state.waiting += part
          guard state.waiting.count <= Self.mostWaiting else {
            throw .protocolViolation("a TLS message without an end")
          }
          continue
        }
        try flush(&state)
      }
      return count
    }

    /// Encrypts what has waited for the end of a message.
    private func writeWaiting(_ state: inout State) throws(TransportError) {
      guard !state.waiting.isEmpty else { return }
      let waiting = state.waiting
      let span = waiting.span
      let isDone = try unsafe span.withUnsafeBytes { bytes throws(TransportError) in
        try unsafe state.session.write(bytes)
      }
      if isDone { state.waiting = [] }
    }

    /// Sends encrypted bytes, as far as the socket takes them.
    private func flush(_ state: inout State) throws(TransportError) {
      while true {
        if !state.hasOutput {
          state.sent = 0
          state.taken = unsafe state.session.takeOutput(into: state.output)
          if state.taken == 0 { return }
        }
        let rest = unsafe UnsafeRawBufferPointer(rebasing: state.output[state.sent..<state.taken])
        state.sent += try unsafe socket.write(rest)
        if state.hasOutput { return }
      }
    }

    /// Reads encrypted bytes from the socket; returns their number.
    ///
    /// - Throws: `protocolViolation` if the server sends nothing but records without data.
    private func receive(_ state: inout State) throws(TransportError) -> Int {
      let result: Result<Int, TransportError> = unsafe withUnsafeTemporaryAllocation(
        byteCount: Self.bufferSize, alignment: 1
      ) { buffer in
        Result { () throws(TransportError) in
          let count = try unsafe socket.read(into: buffer)
          state.patience -= count
          guard state.patience >= 0 else {
            throw .protocolViolation("an endless stream of TLS records without data")
          }
          if count > 0 {
            try unsafe state.session.feed(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
          }
          return count
        }
      }
      return try result.get()
    }
  }
#endif
