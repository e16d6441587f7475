#if TLS
  internal import COpenSSL
  internal import Synchronization

  /// What the sessions of a configuration have in common: authorities, certificate and private key.
  ///
  /// Making one takes up to 0.1 s with the authorities of the system, so lockers share it.
  @safe final class TLSContext: Sendable {
    /// OpenSSL counts its references atomically, and nothing changes it any more.
    nonisolated(unsafe) let pointer: OpaquePointer

    private init(_ options: LockerConfiguration.TLS) throws(TransportError) {
      guard arl_tls_initialize() == 1, let context = unsafe SSL_CTX_new(TLS_client_method()) else {
        throw TLSFailure.current()
      }
      unsafe pointer = context
      ERR_clear_error()
      guard unsafe arl_tls_harden(context) == 1 else { throw TLSFailure.current() }
      try load(options)
    }

    deinit { unsafe SSL_CTX_free(pointer) }

    private func load(_ options: LockerConfiguration.TLS) throws(TransportError) {
      if let path = options.authoritiesPath {
        try unsafe read("the authorities' certificates", from: path) { file in
          unsafe arl_tls_load_authorities(pointer, file)
        }
      } else if unsafe SSL_CTX_set_default_verify_paths(pointer) != 1 {
        throw TLSFailure.current()
      }
      if let path = options.certificatePath {
        try unsafe read("the client's certificate", from: path) { file in
          unsafe arl_tls_use_chain(pointer, file)
        }
      }
      if let path = options.privateKeyPath {
        // Checks that it belongs to the certificate, too.
        try unsafe read("the client's private key", from: path) { file in
          unsafe arl_tls_use_private_key(pointer, file)
        }
      }
    }

    private func read(
      _ what: String, from path: String, _ load: (OpaquePointer) -> CInt
    ) throws(TransportError) {
      let failure = "\(what) cannot be read from \(path.abbreviatedForMessage)"
      guard let file = unsafe arl_tls_open(path) else {
        let error = SystemError.current
        throw .tlsFailed(
          error.rawValue == 0
            ? "\(failure), which must be a regular file" : "\(failure): \(error)")
      }
      defer { unsafe BIO_free(file) }
      ERR_clear_error()
      guard unsafe load(file) != 1 else { return }
      throw .tlsFailed(
        "\(failure), which must be PEM without a passphrase: \(TLSFailure.reasons())")
    }

    // MARK: Sharing

    private struct Shared {
      weak var context: TLSContext?
      let files: [FileVersion]
    }

    private static let shared = Locked<[LockerConfiguration.TLS: Shared]>([:])

    /// The context for these options, made anew if one of the files has changed since.
    ///
    /// Reads files, so never call it on the cooperative pool.
    static func of(_ options: LockerConfiguration.TLS) throws(TransportError) -> TLSContext {
      let files = [options.authoritiesPath, options.certificatePath, options.privateKeyPath]
        .compactMap(\.self).map(FileVersion.init)
      let known = shared.withLock { shared in
        shared = shared.filter { $0.value.context != nil }
        return shared[options].flatMap { $0.files == files ? $0.context : nil }
      }
      if let known { return known }
      let context = try TLSContext(options)
      shared.withLock { $0[options] = Shared(context: context, files: files) }
      return context
    }
  }
#endif
