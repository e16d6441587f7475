import Testing

@testable import AsyncRedisLock

private let one = LockerConfiguration.Address.cluster([.init(host: "h")])

let wellFormedClusterURLs: [WellFormedURL] =
  [
    .init("redis+cluster://h", .init(address: one)),
    .init("redis+cluster://h/", .init(address: one)),
    .init("valkey+cluster://h:6379", .init(address: one)),
    .init("REDIS+CLUSTER://h", .init(address: one)),
    .init(
      "redis+cluster://a,a:1,b:1,[::1],[::1]:2",
      .init(
        address: .cluster([
          .init(host: "a"), .init(host: "a", port: 1), .init(host: "b", port: 1),
          .init(host: "::1"), .init(host: "::1", port: 2),
        ]))),
    .init(
      "redis+cluster://u:p%40@h/3?label=x",
      .init(address: one, username: "u", password: "p@", database: 3, label: "x")),
    .init("redis+cluster://:p@ss@h", .init(address: one, password: "p@ss")),
  ] + encryptedURLs

private var encryptedURLs: [WellFormedURL] {
  guard LockerConfiguration.hasTLS else { return [] }
  return [
    .init("rediss+cluster://h", .init(address: one, tls: .init())),
    .init(
      "valkeys+cluster://:p@h?sni=n",
      .init(address: one, password: "p", tls: .init(serverName: "n"))),
  ]
}

let malformedClusterURLs: [MalformedURL] = [
  .init("redis+cluster://", "host is missing"),
  .init("redis+cluster:///", "host is missing"),
  .init("redis+cluster://:hunter2@", "host is missing"),
  .init("redis+cluster://a,,b", "host is missing"),
  .init("redis+cluster://a,b,", "host is missing"),
  .init("redis+cluster://a,b:x", "port"),
  .init("redis+cluster://a,b:0", "port"),
  .init("redis+cluster://a,b:65536", "port"),
  .init("redis+cluster://a,[::1", "host begins with ["),
  .init("redis+cluster://a,a:6379", "twice"),
  .init("redis+cluster://\((1...101).map { "h\($0)" }.joined(separator: ","))", "from 1 to 100"),
  .init("redis+cluster://a, b", "white space"),
  .init("redis+cluster://h/x", "database"),
  .init("redis+cluster://h/1?db=1", "second time"),
  .init("redis+cluster://h?cacert=/x", "needs TLS"),
  .init("redis+cluster://h?sentinel_password=hunter2", "sentinel"),
  .init("redis+cluster://:hunter2@h?replica_acknowledgements=1", "cluster"),
  .init("redis+cluster://h?key_prefix=%7Bapp%7D:", "brace"),
  .init("redis+clusters://h", "scheme"),
  .init("cluster://h", "redis+cluster"),
  .init("redis://:hunter2@a,b:2/1", "redis+cluster"),
]
