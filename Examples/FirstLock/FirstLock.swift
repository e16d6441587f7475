import AsyncRedisLock

@main
struct FirstLock {
  static func main() async {
    do {
      let locker = try await Locker(url: "redis://127.0.0.1:6379")

      try await locker.withLock("invoices") { lock in
        print("I hold \(lock.keys), number \(lock.fencingToken ?? 0)")
        try await Task.sleep(for: .seconds(10))
      }
      print("Released.")
    } catch {
      print("Not done: \(error)")
    }
  }
}
