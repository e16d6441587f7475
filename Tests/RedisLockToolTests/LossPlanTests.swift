#if CommandLineTool
  import Testing

  @testable import RedisLockTool

  @Suite("The plan for a loss", .timeLimit(.minutes(2)))
  struct LossPlanTests {
    let start = ContinuousClock.now

    @Test("The plan for a loss gives the command its grace, and kills it before the lock ends")
    func grace() {
      var plan = LossPlan(ttl: .seconds(30), extend: .seconds(10), grace: .seconds(5))
      #expect(
        plan.next(remaining: .seconds(29), isGone: false, at: start) == .wait(.milliseconds(250)))
      #expect(
        plan.next(remaining: .milliseconds(5100), isGone: false, at: start)
          == .wait(.milliseconds(100)))
      #expect(
        plan.next(remaining: .seconds(5), isGone: false, at: start)
          == .terminate(.milliseconds(250)))
      #expect(
        plan.next(remaining: .milliseconds(150), isGone: false, at: start)
          == .wait(.milliseconds(50)))
      let later = start + .milliseconds(100)
      #expect(plan.next(remaining: .milliseconds(100), isGone: false, at: later) == .kill)
      #expect(plan.next(remaining: .zero, isGone: false, at: later) == .kill)
    }

    @Test("After a late extension, the plan leaves half of the remaining time for further attempts")
    func shortTTL() {
      var plan = LossPlan(ttl: .seconds(3), extend: .seconds(1), grace: .seconds(5))
      #expect(plan.margin == .seconds(1))
      #expect(
        plan.next(remaining: .milliseconds(1001), isGone: false, at: start)
          == .wait(.milliseconds(1)))
      #expect(
        plan.next(remaining: .seconds(1), isGone: false, at: start)
          == .terminate(.milliseconds(250)))
    }

    @Test(
      "However short the hold or the grace, the plan leaves time for the kill before the lock ends",
      arguments: [60, 100, 150, 400, 1000], [0, 1, 40, nil])
    func shortHold(maxHold: Int, grace: Int?) {
      let (hold, grace) = (Duration.milliseconds(maxHold), grace.map(Duration.milliseconds))
      var plan = LossPlan(
        ttl: .seconds(30), extend: .seconds(10), grace: grace ?? hold / 5, maxHold: hold)
      #expect(plan.reserve >= .milliseconds(10))
      #expect(plan.margin < hold)
      var (now, isAsked) = (start, false)
      let end = start + hold
      ending: while true {
        let remaining = now.duration(to: end)
        #expect(remaining > .zero)
        switch plan.next(remaining: remaining, isGone: false, at: now) {
        case .wait(let pause): now += pause
        case .terminate(let pause):
          isAsked = true
          now += pause
        case .kill: break ending
        }
      }
      #expect(isAsked)
      #expect(now.duration(to: end) >= plan.reserve)
    }

    @Test("A short grace is the time between the two signals")
    func shortGrace() {
      var plan = LossPlan(
        ttl: .seconds(30), extend: .seconds(10), grace: .milliseconds(40))
      #expect(plan.reserve == .milliseconds(100))
      #expect(
        plan.next(remaining: .milliseconds(140), isGone: false, at: start)
          == .terminate(.milliseconds(40)))
      plan = LossPlan(ttl: .seconds(30), extend: .seconds(10), grace: .zero)
      #expect(
        plan.next(remaining: .milliseconds(100), isGone: false, at: start) == .terminate(.zero))
      #expect(plan.next(remaining: .milliseconds(100), isGone: false, at: start) == .kill)
    }

    @Test("If another holder has the lock, the command is asked to end and killed a moment later")
    func gone() {
      var plan = LossPlan(ttl: .seconds(30), extend: .seconds(10), grace: .seconds(5))
      #expect(
        plan.next(remaining: .seconds(29), isGone: true, at: start)
          == .terminate(.milliseconds(100)))
      #expect(
        plan.next(remaining: .zero, isGone: true, at: start + .milliseconds(99))
          == .wait(.milliseconds(1)))
      #expect(plan.next(remaining: .zero, isGone: true, at: start + .milliseconds(100)) == .kill)
    }

    @Test("A command that is being ended is killed sooner if another holder has the lock")
    func goneMeanwhile() {
      var plan = LossPlan(ttl: .seconds(30), extend: .seconds(10), grace: .seconds(5))
      _ = plan.next(remaining: .seconds(5), isGone: false, at: start)
      #expect(
        plan.next(remaining: .zero, isGone: true, at: start + .milliseconds(200)) == .kill)
    }

    @Test("If the lock ended unobserved, the command is asked to end before it is killed")
    func slept() {
      var plan = LossPlan(ttl: .seconds(30), extend: .seconds(10), grace: .seconds(5))
      #expect(
        plan.next(remaining: .zero, isGone: false, at: start) == .terminate(.milliseconds(100)))
      #expect(plan.next(remaining: .zero, isGone: false, at: start + .milliseconds(100)) == .kill)
    }

    @Test("The plan for a loss is carried out even if the lock is extended after all")
    func tooLate() {
      var plan = LossPlan(ttl: .seconds(30), extend: .seconds(10), grace: .seconds(5))
      _ = plan.next(remaining: .seconds(4), isGone: false, at: start)
      let later = start + .milliseconds(4800)
      #expect(
        plan.next(remaining: .seconds(29), isGone: false, at: later) == .wait(.milliseconds(100)))
      #expect(
        plan.next(remaining: .seconds(29), isGone: false, at: start + .milliseconds(4900)) == .kill)
    }
  }
#endif
