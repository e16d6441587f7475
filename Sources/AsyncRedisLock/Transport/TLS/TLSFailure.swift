#if TLS
  internal import COpenSSL

  /// The words for what OpenSSL has refused.
  enum TLSFailure {
    /// The failure that the last call on this thread has left behind.
    static func current() -> TransportError { .tlsFailed(reasons()) }

    /// The failure of a handshake: most often, the peer's certificate is not accepted.
    static func ofHandshake(_ session: OpaquePointer) -> TransportError {
      let verdict = unsafe SSL_get_verify_result(session)
      guard verdict != X509_V_OK else { return current() }
      ERR_clear_error()
      let text = unsafe String(cString: X509_verify_cert_error_string(verdict))
      return .tlsFailed("the server's certificate is not accepted: \(text)")
    }

    /// The reasons that OpenSSL has noted for this thread, which forgets them.
    static func reasons() -> String {
      var reasons: [String] = []
      while case let error = ERR_get_error(), error != 0 {
        let text = unsafe ERR_reason_error_string(error).map { unsafe String(cString: $0) }
        reasons.append(text ?? "error \(arl_tls_reason(error))")
        // Not a TLS record at all.
        if arl_tls_reason(error) == SSL_R_WRONG_VERSION_NUMBER {
          reasons.append("is this a TLS port?")
        }
      }
      return reasons.isEmpty ? "unknown error" : reasons.joined(separator: "; ")
    }
  }
#endif
