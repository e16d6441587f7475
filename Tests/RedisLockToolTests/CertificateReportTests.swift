#if CommandLineTool
  import Testing

  @testable import AsyncRedisLock
  @testable import RedisLockTool

  @Suite("The certificates that redis-lock doctor shows", .timeLimit(.minutes(1)))
  struct CertificateReportTests {
    @Test("The doctor shows another server's certificate only if that ends soon")
    func others() {
      var report = CertificateReport()
      for (name, days) in [(nil, 90), ("replica a", 12), ("replica b", 90)] as [(String?, Int)] {
        let certificate = ServerCertificate(
          subject: "CN=s", issuer: "CN=i", names: "DNS:n", verifiedName: "n", daysLeft: days)
        report.note(certificate, of: name)
      }
      report.note(nil, of: "replica c")
      #expect(report.findings.map(\.level) == [.fine, .warning])
      #expect(report.findings.last?.text.hasPrefix("replica a: 12 days left; CN=s") == true)
    }
  }
#endif
