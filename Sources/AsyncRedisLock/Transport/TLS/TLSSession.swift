#if TLS
  internal import COpenSSL

  /// One TLS session, as a filter between plain and encrypted bytes.
  ///
  /// It has no socket. So there is no SIGPIPE, no waiting in here, and nothing that `poll(2)` cannot see.
  @safe struct TLSSession: ~Copyable {
    let session: OpaquePointer
    /// Encrypted bytes that have arrived, and those to send; the session owns both.
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer

    /// Begins a session as the client.
    ///
    /// - Throws: `tlsFailed` if the memory is exhausted, or the peer's name cannot be used.
    init(in context: TLSContext, with peer: TLSPeer) throws(TransportError) {
      guard let session = unsafe SSL_new(context.pointer),
        let incoming = unsafe BIO_new(BIO_s_mem())
      else { throw TLSFailure.current() }
      guard let outgoing = unsafe BIO_new(BIO_s_mem()) else { throw TLSFailure.current() }
      unsafe SSL_set_bio(session, incoming, outgoing)
      unsafe SSL_set_connect_state(session)
      guard unsafe Self.setPeer(peer, of: session) else {
        unsafe SSL_free(session)
        throw TLSFailure.current()
      }
      unsafe self.session = session
      unsafe self.incoming = incoming
      unsafe self.outgoing = outgoing
    }

    deinit { unsafe SSL_free(session) }

    /// Sets what the server's certificate has to be for.
    private static func setPeer(_ peer: TLSPeer, of session: OpaquePointer) -> Bool {
      if peer.isAddress {
        return unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), peer.name) == 1
      }
      // The name in the subject has been obsolete since RFC 2818, and OpenSSL takes it unless told not to.
      let flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS
      unsafe SSL_set_hostflags(session, UInt32(flags))
      guard unsafe SSL_set1_host(session, peer.name) == 1 else { return false }
      return unsafe arl_tls_set_server_name(session, peer.name) == 1
    }

    /// Goes on with the handshake; returns whether it is complete, or needs more input.
    func shakeHands() throws(TransportError) -> Bool {
      ERR_clear_error()
      let result = unsafe SSL_do_handshake(session)
      if result == 1 { return true }
      guard unsafe SSL_get_error(session, result) == SSL_ERROR_WANT_READ else {
        throw unsafe TLSFailure.ofHandshake(session)
      }
      return false
    }

    /// Takes in encrypted bytes.
    func feed(_ bytes: UnsafeRawBufferPointer) throws(TransportError) {
      guard unsafe BIO_write(incoming, bytes.baseAddress, CInt(bytes.count)) == bytes.count else {
        throw .connectionLost("out of memory")
      }
    }

    /// The outcome of reading.
    enum Input: Equatable {
      case bytes(Int)
      /// More encrypted bytes are needed.
      case none
      /// The peer has ended the session.
      case end
    }

    /// Decrypts into a buffer, as far as there is room for the next record.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(TransportError) -> Input {
      ERR_clear_error()
      let count = unsafe SSL_read(session, buffer.baseAddress, CInt(clamping: buffer.count))
      return count > 0 ? .bytes(Int(count)) : try input(after: count)
    }

    /// Whether there are decrypted bytes, without taking them.
    func peek() throws(TransportError) -> Input {
      ERR_clear_error()
      var byte: UInt8 = 0
      let count = unsafe SSL_peek(session, &byte, 1)
      return count > 0 ? .bytes(1) : try input(after: count)
    }

    private func input(after result: CInt) throws(TransportError) -> Input {
      switch unsafe SSL_get_error(session, result) {
      case SSL_ERROR_WANT_READ: .none
      case SSL_ERROR_ZERO_RETURN: .end
      default: throw TLSFailure.current()
      }
    }

    /// Encrypts bytes; returns false if the rest of a message that has begun must be read first.
    ///
    /// TLS 1.3 has such messages at any time, such as tickets, and each may come in several records.
    func write(_ bytes: UnsafeRawBufferPointer) throws(TransportError) -> Bool {
      ERR_clear_error()
      let count = unsafe SSL_write(session, bytes.baseAddress, CInt(bytes.count))
      if count == bytes.count { return true }
      guard try input(after: count) == .none else {
        throw .connectionLost("Server closed the connection")
      }
      return false
    }

    /// Encrypts that no more bytes follow.
    func end() {
      ERR_clear_error()
      unsafe SSL_shutdown(session)
      ERR_clear_error()
    }

    /// Takes out encrypted bytes to send; returns their number.
    func takeOutput(into buffer: UnsafeMutableRawBufferPointer) -> Int {
      // An empty memory BIO returns -1.
      max(0, unsafe Int(BIO_read(outgoing, buffer.baseAddress, CInt(clamping: buffer.count))))
    }
  }
#endif
