#if TLS
  internal import COpenSSL

  extension TLSSession {
    /// The server's certificate, once the handshake is complete; nil if it cannot be read.
    func certificate(for peer: TLSPeer) -> ServerCertificate? {
      defer { ERR_clear_error() }
      guard let certificate = unsafe arl_tls_peer_certificate(session) else { return nil }
      defer { unsafe X509_free(certificate) }
      var (days, seconds): (CInt, CInt) = (0, 0)
      guard
        unsafe ASN1_TIME_diff(&days, &seconds, nil, X509_get0_notAfter(certificate)) == 1,
        let subject = unsafe Self.text(of: X509_get_subject_name(certificate)),
        let issuer = unsafe Self.text(of: X509_get_issuer_name(certificate))
      else { return nil }
      return unsafe ServerCertificate(
        subject: subject, issuer: issuer, names: Self.alternativeNames(of: certificate),
        verifiedName: peer.name, daysLeft: Int(days))
    }

    private static func alternativeNames(of certificate: OpaquePointer) -> String {
      let place = unsafe X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1)
      guard place >= 0, let names = unsafe X509_get_ext(certificate, place) else { return "" }
      return unsafe text { unsafe X509V3_EXT_print($0, names, 0, 0) == 1 } ?? ""
    }

    /// A name on one line.
    private static func text(of name: OpaquePointer?) -> String? {
      unsafe text { unsafe arl_tls_print_name($0, name) == 1 }
    }

    /// The text that is printed into a BIO; nil if that fails.
    private static func text(_ print: (OpaquePointer) -> Bool) -> String? {
      guard let output = unsafe BIO_new(BIO_s_mem()) else { return nil }
      defer { unsafe BIO_free(output) }
      guard unsafe print(output) else { return nil }
      // Longer than any text that is of use.
      return unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 4096) { buffer in
        let count = unsafe BIO_read(output, buffer.baseAddress, CInt(buffer.count))
        return unsafe String(decoding: buffer.prefix(max(0, Int(count))), as: UTF8.self)
      }
    }
  }
#endif
