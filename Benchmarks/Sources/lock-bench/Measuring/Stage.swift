import Foundation
import PrivateRedis

/// The server, and everything else that a measurement needs.
final class Stage {
  let url: String
  private let own: RedisServer?
  private let encrypted: (server: TLSServer, certificates: Certificates)?
  private let control: HiredisConnection
  private let directory: URL
  private var proxies: [DelayingProxy] = []
  /// By the number of its masters.
  private var clusters: [Int: BenchCluster] = [:]

  /// A cluster, and a connection to each of its servers.
  private struct BenchCluster {
    let servers: PrivateCluster
    let controls: [HiredisConnection]

    init(masters: Int) throws {
      servers = try PrivateCluster(masters: masters, hasReplicas: false)
      controls = try servers.servers.map { try HiredisConnection(url: $0.url) }
    }
  }

  /// Uses the server at the URL, or starts one, which also offers TLS if that is asked for.
  init(url: String?, listen: RedisServer.Listener, isEncrypted: Bool = false) throws {
    encrypted = try url == nil && isEncrypted ? Self.encryptedServer(listen) : nil
    own = try encrypted?.server.plain ?? (url == nil ? RedisServer(listen: listen) : nil)
    self.url = url ?? own?.url ?? ""
    control = try HiredisConnection(url: self.url)
    // Kept in memory, if the system has a place for that: otherwise the disk would be measured, too.
    let memory = URL(filePath: "/dev/shm")
    let isWritable = FileManager.default.isWritableFile(atPath: memory.path(percentEncoded: false))
    directory = (isWritable ? memory : FileManager.default.temporaryDirectory)
      .appending(path: "lock-bench-\(UInt64.random(in: 0 ... .max))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
  }

  deinit {
    try? FileManager.default.removeItem(at: directory)
    own?.stop()
  }

  private static func encryptedServer(
    _ listen: RedisServer.Listener
  ) throws -> (TLSServer, Certificates) {
    let certificates = try Certificates()
    let server = try TLSServer(
      certificates.make("server", names: ["IP:127.0.0.1"]), authority: certificates.authority,
      listen: listen)
    return (server, certificates)
  }

  /// Whether the server can be pinned.
  var ownsServer: Bool { own != nil }

  /// The server's name and version.
  func serverVersion() throws -> String {
    guard case .text(let text) = try control.call(["INFO", "server"]) else { return "unknown" }
    let lines = text.split(whereSeparator: \.isNewline)
    return lines.first { $0.contains("_version:") }.map(String.init) ?? "unknown"
  }

  /// Runs a case once.
  func measure(_ contestant: Contestant, _ measured: Case, seconds: Double) throws -> Sample {
    let placement = measured.placement.possible
    let cluster = try measured.masters.map(cluster)
    let servers = cluster?.servers.servers ?? [own].compactMap(\.self)
    let controls = cluster?.controls ?? [control]
    for server in servers.compactMap(\.processID) {
      CPUAffinity.move(process: server, to: placement)
    }
    let name = String(UInt64.random(in: 0 ... .max), radix: 36)
    let log = directory.appending(path: name).path(percentEncoded: false)
    let order = WorkerOrder(
      contestant: contestant, job: measured.job, crowd: measured.crowd,
      url: try address(measured, placement), prefix: "bench:\(name):",
      counts: measured.counts, logPath: log)
    let workers = try CPUAffinity.with(placement) {
      try (0..<measured.processes).map { worker in
        var order = order
        order.worker = worker
        return try WorkerProcess(order)
      }
    }
    defer { try? FileManager.default.removeItem(atPath: log) }
    for worker in workers { try worker.waitUntilReady() }
    let run = Run(
      contestant: contestant, measured: measured, placement: placement, controls: controls,
      handoffs: try measured.isHandoff ? HandoffLog(path: log) : nil)
    let sample = try run.sample(workers, seconds: seconds)
    for worker in workers { worker.dismiss() }
    for worker in workers { try worker.waitForEnd() }
    if cluster == nil { try control.call(["DEL", order.contendedKey]) }
    if own != nil { for control in controls { try control.call(["FLUSHALL"]) } }
    return sample
  }

  private func cluster(masters: Int) throws -> BenchCluster {
    if let cluster = clusters[masters] { return cluster }
    let cluster = try BenchCluster(masters: masters)
    clusters[masters] = cluster
    return cluster
  }

  private func address(_ measured: Case, _ placement: Placement) throws -> String {
    if let masters = measured.masters { return try cluster(masters: masters).servers.url([0]) }
    if measured.isEncrypted, let (server, certificates) = encrypted {
      return "rediss://127.0.0.1:\(server.port)?cacert=\(certificates.authority.certificate)"
    }
    guard let roundTrip = measured.roundTrip else { return url }
    if let proxy = proxies.first(where: { $0.roundTrip == roundTrip && $0.placement == placement })
    {
      return proxy.url
    }
    proxies.append(try DelayingProxy(to: url, roundTrip: roundTrip, placement))
    return try address(measured, placement)
  }
}
