@testable import AsyncRedisLock

private func tcp(_ host: String, _ port: UInt16 = 6379) -> LockerConfiguration.Address {
  .tcp(host: host, port: port)
}

/// URLs in the forms in which services, compose files and secrets hand them out.
let providerURLs: [WellFormedURL] = [
  // Docker Compose and Kubernetes.
  .init("redis://redis:6379", .init(address: tcp("redis"))),
  .init("redis://redis:6379/0", .init(address: tcp("redis"))),
  .init(
    "redis://:secret@cache:6379/1", .init(address: tcp("cache"), password: "secret", database: 1)),
  .init("redis://valkey_1:6379", .init(address: tcp("valkey_1"))),
  .init("redis://host.docker.internal", .init(address: tcp("host.docker.internal"))),
  .init(
    "redis://my-redis-master.default.svc.cluster.local:6379",
    .init(address: tcp("my-redis-master.default.svc.cluster.local"))),
  .init(
    "redis://:a%2Fb%3D@my-redis-0.my-redis-headless.prod.svc:6379",
    .init(address: tcp("my-redis-0.my-redis-headless.prod.svc"), password: "a/b=")),
  // Railway, within its network and through its proxy.
  .init(
    "redis://default:hUnT@redis.railway.internal:6379",
    .init(address: tcp("redis.railway.internal"), username: "default", password: "hUnT")),
  .init(
    "redis://default:hUnT@monorail.proxy.rlwy.net:12345",
    .init(address: tcp("monorail.proxy.rlwy.net", 12345), username: "default", password: "hUnT")),
  // Render, within its network.
  .init("redis://red-abc123:6379", .init(address: tcp("red-abc123"))),
  // Fly.
  .init(
    "redis://default:0a1b@fly-name.upstash.io:6379",
    .init(address: tcp("fly-name.upstash.io"), username: "default", password: "0a1b")),
  .init("redis://[fdaa:0:1:a7b::2]:6379", .init(address: tcp("fdaa:0:1:a7b::2"))),
  // Google Memorystore without encryption.
  .init("redis://10.0.0.3:6379", .init(address: tcp("10.0.0.3"))),
  .init(
    "redis://:00000000-1111-2222-3333-444444444444@10.0.0.3",
    .init(address: tcp("10.0.0.3"), password: "00000000-1111-2222-3333-444444444444")),
  // Heroku's old form, whose user is not the server's.
  .init(
    "redis://h:p0123@ec2-1-2-3-4.compute-1.amazonaws.com:6479",
    .init(
      address: tcp("ec2-1-2-3-4.compute-1.amazonaws.com", 6479), username: "h", password: "p0123")),
  // Redis Cloud.
  .init(
    "redis://default:Ab1$x@redis-12345.c1.us-east-1-2.ec2.cloud.redislabs.com:12345",
    .init(
      address: tcp("redis-12345.c1.us-east-1-2.ec2.cloud.redislabs.com", 12345),
      username: "default", password: "Ab1$x")),
  // Alibaba Cloud, with the user within the password.
  .init(
    "redis://:user%3Apass@r-abc.redis.rds.aliyuncs.com",
    .init(address: tcp("r-abc.redis.rds.aliyuncs.com"), password: "user:pass")),
]

#if TLS
  let providerTLSURLs: [WellFormedURL] = [
    .init(
      "rediss://default:hUnT@cache-do-user-1-0.b.db.ondigitalocean.com:25061",
      .init(
        address: tcp("cache-do-user-1-0.b.db.ondigitalocean.com", 25061), username: "default",
        password: "hUnT", tls: .init())),
    .init(
      "rediss://red-abc:pw@oregon-keyvalue.render.com:6379",
      .init(
        address: tcp("oregon-keyvalue.render.com"), username: "red-abc", password: "pw",
        tls: .init())),
    .init(
      "rediss://name:p%2Bq@51.15.1.2:6379?cacert=/etc/redis/ca.pem",
      .init(
        address: tcp("51.15.1.2"), username: "name", password: "p+q",
        tls: .init(authoritiesPath: "/etc/redis/ca.pem"))),
    .init(
      "rediss://:auth@10.0.0.3:6378?cacert=server-ca.pem",
      .init(
        address: tcp("10.0.0.3", 6378), password: "auth",
        tls: .init(authoritiesPath: "server-ca.pem"))),
    .init(
      "rediss://app:pw@name-abc123.serverless.euw1.cache.amazonaws.com:6379",
      .init(
        address: tcp("name-abc123.serverless.euw1.cache.amazonaws.com"), username: "app",
        password: "pw", tls: .init())),
    .init(
      "rediss://:key%3D@name.westeurope.redis.azure.net:10000",
      .init(
        address: tcp("name.westeurope.redis.azure.net", 10000), password: "key=", tls: .init())),
    .init(
      "rediss://:key=@name.redis.cache.windows.net:6380",
      .init(address: tcp("name.redis.cache.windows.net", 6380), password: "key=", tls: .init())),
    .init(
      "rediss://admin:pw@e6b2.databases.appdomain.cloud:32371/0?cacert=ca.pem",
      .init(
        address: tcp("e6b2.databases.appdomain.cloud", 32371), username: "admin", password: "pw",
        tls: .init(authoritiesPath: "ca.pem"))),
    .init(
      "rediss://default:pw@localhost:6380?sni=cache.example.com",
      .init(
        address: tcp("localhost", 6380), username: "default", password: "pw",
        tls: .init(serverName: "cache.example.com"))),
    .init(
      "valkeys://avnadmin:AVNS_x@valkey-1-project.a.aivencloud.com:12345",
      .init(
        address: tcp("valkey-1-project.a.aivencloud.com", 12345), username: "avnadmin",
        password: "AVNS_x", tls: .init())),
  ]
#else
  let providerTLSURLs: [WellFormedURL] = []
#endif

/// What is handed out, or copied from there, in a form that is no URL of a server.
let foreignURLs: [MalformedURL] = [
  // .NET's connection strings.
  .init(
    "name.redis.cache.windows.net:6380,password=hunter2,ssl=True,abortConnect=False",
    "rediss://:password@host:6380"),
  .init("name.redis.cache.windows.net:6380,ssl=True,password=hunter2=", "connection string"),
  .init("localhost,abortConnect=false", "connection string"),
  .init("NAME:6380,PASSWORD=hunter2,SSL=TRUE", "connection string"),
  .init("localhost:6379,password=hunter2", "connection string"),
  // REST interfaces.
  .init("https://eu1-merry-cat-1.upstash.io", "REST interface"),
  .init("https://default:hunter2@eu1-merry-cat-1.upstash.io", "REST interface"),
  .init("HTTP://:hunter2@h", "REST interface"),
  // Variables that Docker and Kubernetes set themselves.
  .init("tcp://10.0.0.1:6379", "Kubernetes"),
  .init("tcp://:hunter2@redis:6379", "write redis"),
  .init("tls://h:6380", "write rediss"),
  .init("ssl://:hunter2@h", "write rediss"),
  // Quoted, named, or not replaced.
  .init("\"redis://:hunter2@h\"", "quotation mark"),
  .init("'redis://:hunter2@h'", "quotation mark"),
  .init("REDIS_URL=redis://:hunter2@h", "name of a variable and a ="),
  .init("redis_url=redis://:hunter2@h", "name of a variable and a ="),
  .init("$REDIS_URL", "has not been replaced"),
  .init("${REDIS_URL}", "has not been replaced"),
  .init("{{ redis_url }}", "has not been replaced"),
  .init("redis-cli -u redis://:hunter2@h", "command line"),
  .init("redis-cli --tls -h h -a hunter2", "command line"),
  .init("valkey-cli -u redis://:hunter2@h", "command line"),
  // Secrets with a line end, and passwords that are not escaped.
  .init("redis://:hunter2@h:6379\n", "line end"),
  .init("redis://:hunter2@h:6379\r\n", "line end"),
  .init("redis://:hunter2\n@h:6379", "white space"),
  .init("redis://:hun%ter2@h", "%25"),
  .init("redis://:hun/ter2=@name.redis.cache.windows.net:6380", "%2F"),
  .init("redis://:hun#ter2@h", "%23"),
  .init("redis://default:hunter2@h:6379/db0", "database"),
  .init("redis://default:hunter2@:6379", "host is missing"),
  .init("redis://h1:6379,h2:6379", "host"),
  .init("jdbc:redis://h", "scheme is missing"),
  .init("jedis://:hunter2@h", "scheme (\"jedis\")"),
  .init("redis-socket:///s", "scheme (\"redis-socket\")"),
  // Parameters of other clients.
  .init("redis://h?family=0", "all addresses of a host"),
  .init("redis://:hunter2@h?ssl=true", "rediss in place of redis"),
  .init("redis://:hunter2@h?tls=true", "rediss in place of redis"),
  .init("redis://h?use_tls=1", "rediss in place of redis"),
  .init("redis://h?auth=hunter2", "before the host"),
  .init("redis://h?username=u&password=hunter2", "before the host"),
  .init("redis://h?user=u", "before the host"),
  .init("redis://?host=h", "host is missing"),
  .init("redis://h?port=1", "host and port"),
  .init("redis://h?protocol=3", "RESP2"),
  .init("redis://h?pool_size=5", "one connection"),
  .init("redis://h?max_connections=5", "one connection"),
  .init("redis://h?decode_responses=true", "decides itself"),
  .init("redis://h?health_check_interval=30", "decides itself"),
  .init("redis://h?retry_on_timeout=true", "decides itself"),
  .init("redis://h?max_retries=3", "decides itself"),
]
