import Testing

@testable import AsyncRedisLock

private let one = LockerConfiguration.Address.sentinels([.init(host: "h")], primary: "m")

let wellFormedSentinelURLs: [WellFormedURL] = [
  .init("redis+sentinel://h/m", .init(address: one)),
  .init("valkey+sentinel://h:26379/m", .init(address: one)),
  .init("REDIS+SENTINEL://h/m/", .init(address: one)),
  .init("redis+sentinel://h/m/3", .init(address: one, database: 3)),
  .init("redis+sentinel://h/m?db=3", .init(address: one, database: 3)),
  .init(
    "redis+sentinel://a,b:1,[::1],[::1]:2/my%2Fmaster",
    .init(
      address: .sentinels(
        [
          .init(host: "a"), .init(host: "b", port: 1), .init(host: "::1"),
          .init(host: "::1", port: 2),
        ], primary: "my/master"))),
  .init(
    "redis+sentinel://u:p@h/m?sentinel_username=su&sentinel_password=s%40p",
    .init(
      address: one, username: "u", password: "p", sentinelUsername: "su", sentinelPassword: "s@p")),
  .init("redis+sentinel://h/m?sentinel_password=p", .init(address: one, sentinelPassword: "p")),
]

let malformedSentinelURLs: [MalformedURL] = [
  .init("redis+sentinel://h", "primary is missing"),
  .init("redis+sentinel://h/", "primary is missing"),
  .init("redis+sentinel://h//1", "primary is missing"),
  .init("redis+sentinel://h/m%20n", "white space"),
  .init("redis+sentinel://h/m%0A", "white space"),
  .init("redis+sentinel://h/\(String(repeating: "m", count: 257))", "256 bytes"),
  .init("redis+sentinel://h/m/x", "database"),
  .init("redis+sentinel://h/m/1?db=1", "second time"),
  .init("redis+sentinel://h/m/1/2", "database"),
  .init("redis+sentinel:///m", "host is missing"),
  .init("redis+sentinel://a,,b/m", "host is missing"),
  .init("redis+sentinel://a,b,/m", "host is missing"),
  .init("redis+sentinel://a,b:x/m", "port"),
  .init("redis+sentinel://a,b:0/m", "port"),
  .init("redis+sentinel://a,a:26379/m", "twice"),
  .init(
    "redis+sentinel://\((1...101).map { "h\($0)" }.joined(separator: ","))/m", "from 1 to 100"),
  .init("redis+sentinel://a b/m", "white space"),
  .init("redis+sentinel://h/m?sentinel_username=u", "sentinel password"),
  .init("redis+sentinel://h/m?sentinel_password=", "sentinel password must not be empty"),
  .init(
    "redis+sentinel://h/m?sentinel_username=&sentinel_password=hunter2", "sentinel user must not"),
  .init("redis+sentinel://h/m?sentinel_password=hunter2%00", "NUL"),
  .init("redis+sentinel://h/m?sentinel_password=hunter2&sentinel_password=x", "second time"),
  .init("redis+sentinel://h/m?cacert=/x", "needs TLS"),
  .init("redis://h?sentinel_password=hunter2", "sentinel"),
  .init("redis://h?sentinel_username=u", "sentinel"),
  .init("redis://a,b", "redis+sentinel"),
  .init("redis://:hunter2@a,b:2/1", "redis+sentinel"),
  .init("redis+sentinels://h/m", "scheme"),
  .init("sentinel://h/m", "redis+sentinel"),
]
