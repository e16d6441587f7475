internal import Synchronization

/// Opens streams like another opener, and reads the certificate of each server.
final class CertificateReader: StreamOpener {
  private let opener: any StreamOpener
  private let last = Locked<ServerCertificate?>(nil)

  init(_ opener: any StreamOpener) { self.opener = opener }

  /// The certificate of the server that the last stream led to; nil without TLS.
  var certificate: ServerCertificate? { last.withLock { $0 } }

  func open(
    by deadline: Instant,
    completion: @escaping @Sendable (Result<any ByteStream, TransportError>) -> Void
  ) {
    opener.open(by: deadline) { [self] result in
      if case .success(let stream) = result {
        let certificate = stream.certificate
        last.withLock { $0 = certificate }
      }
      completion(result)
    }
  }

  func cancel() { opener.cancel() }

  func noteWrongServer() { opener.noteWrongServer() }
}
