#if CommandLineTool
  import AsyncRedisLock

  /// The certificates of the servers, which have been accepted, and how long they will be.
  struct CertificateReport: Sendable {
    private(set) var findings: [Finding] = []

    /// An operator needs some weeks to renew one.
    private static let fewDays = 30

    /// Notes a server's certificate; `name` is nil for the primary, and nothing is noted without a certificate.
    ///
    /// Of other servers, only a certificate that ends soon is worth a line.
    mutating func note(_ certificate: ServerCertificate?, of name: String?) {
      guard let certificate else { return }
      let days = certificate.daysLeft
      let isShort = days < Self.fewDays
      guard isShort || name == nil else { return }
      let left = "\(days) \(days == 1 ? "day" : "days") left"
      let names = certificate.names.isEmpty ? "" : " among \(certificate.names.safeToShow)"
      let text =
        (name.map { "\($0): " } ?? "")
        + "\(left); \(certificate.subject.safeToShow), issued by \(certificate.issuer.safeToShow); accepted for \(certificate.verifiedName.safeToShow)\(names)"
      findings.append(
        Finding(
          isShort ? .warning : .fine, "certificate",
          text + (isShort ? ": renew it, or locks cannot be acquired when it ends" : "")))
    }
  }
#endif
