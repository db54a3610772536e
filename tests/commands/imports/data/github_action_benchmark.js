// Part of a real data.js of benchmark-action/github-action-benchmark (MIT, Copyright (c) 2019 rhysd), people removed.
window.BENCHMARK_DATA = {
 "lastUpdate": 1774933028658,
 "repoUrl": "https://github.com/benchmark-action/github-action-benchmark",
 "entries": {
  "Rust Benchmark": [
   {
    "commit": {
     "id": "45d78258e495044a551046f50604da3c893052ce",
     "timestamp": "2019-11-10T00:06:58+09:00",
     "message": "redacted",
     "author": {
      "name": "redacted"
     }
    },
    "date": 1573312140323,
    "tool": "cargo",
    "benches": [
     {
      "name": "bench_fib_10",
      "value": 254,
      "range": "+/- 35",
      "unit": "ns/iter"
     },
     {
      "name": "bench_fib_20",
      "value": 34001,
      "range": "+/- 2,802",
      "unit": "ns/iter"
     }
    ]
   },
   {
    "commit": {
     "id": "b840614fd88743f234aac0dc747a0a70616f450f",
     "timestamp": "2019-11-10T00:10:02+09:00",
     "message": "redacted",
     "author": {
      "name": "redacted"
     }
    },
    "date": 1573312301293,
    "tool": "cargo",
    "benches": [
     {
      "name": "bench_fib_10",
      "value": 242,
      "range": "+/- 73",
      "unit": "ns/iter"
     },
     {
      "name": "bench_fib_20",
      "value": 35940,
      "range": "+/- 12,469",
      "unit": "ns/iter"
     }
    ]
   },
   {
    "commit": {
     "id": "ba36beffce7ea6c4846a35832ed47d439f36b805",
     "timestamp": "2019-11-10T00:41:29+09:00",
     "message": "redacted",
     "author": {
      "name": "redacted"
     }
    },
    "date": 1573314194405,
    "tool": "cargo",
    "benches": [
     {
      "name": "bench_fib_10",
      "value": 224,
      "range": "+/- 41",
      "unit": "ns/iter"
     },
     {
      "name": "bench_fib_20",
      "value": 30047,
      "range": "+/- 4,964",
      "unit": "ns/iter"
     }
    ]
   }
  ],
  "Benchmark.js Benchmark": [
   {
    "commit": {
     "id": "b840614fd88743f234aac0dc747a0a70616f450f",
     "timestamp": "2019-11-10T00:10:02+09:00",
     "message": "redacted",
     "author": {
      "name": "redacted"
     }
    },
    "date": 1573312252482,
    "tool": "benchmarkjs",
    "benches": [
     {
      "name": "fib(10)",
      "value": 1039768,
      "range": "0.42%",
      "unit": "ops/sec"
     },
     {
      "name": "fib(20)",
      "value": 8787,
      "range": "0.71%",
      "unit": "ops/sec"
     }
    ]
   },
   {
    "commit": {
     "id": "ba36beffce7ea6c4846a35832ed47d439f36b805",
     "timestamp": "2019-11-10T00:41:29+09:00",
     "message": "redacted",
     "author": {
      "name": "redacted"
     }
    },
    "date": 1573314151320,
    "tool": "benchmarkjs",
    "benches": [
     {
      "name": "fib(10)",
      "value": 996174,
      "range": "\u00b11.93%",
      "unit": "ops/sec"
     },
     {
      "name": "fib(20)",
      "value": 8965,
      "range": "\u00b11.25%",
      "unit": "ops/sec"
     }
    ]
   },
   {
    "commit": {
     "id": "49eb9738e5def8652c302a99c6c2785fc7bfbf08",
     "timestamp": "2019-11-10T00:52:23+09:00",
     "message": "redacted",
     "author": {
      "name": "redacted"
     }
    },
    "date": 1573314811747,
    "tool": "benchmarkjs",
    "benches": [
     {
      "name": "fib(10)",
      "value": 992914,
      "range": "\u00b10.82%",
      "unit": "ops/sec"
     },
     {
      "name": "fib(20)",
      "value": 8374,
      "range": "\u00b10.66%",
      "unit": "ops/sec"
     }
    ]
   }
  ],
  "Catch2 Benchmark (v3)": [
   {
    "commit": {
     "id": "2b82b9a3b5e1e4c363fc6c378818e2e30f635945",
     "timestamp": "2024-05-19T13:21:20+02:00",
     "message": "redacted",
     "author": {
      "name": "redacted"
     }
    },
    "date": 1716117964771,
    "tool": "catch2",
    "benches": [
     {
      "name": "Fibonacci 10",
      "value": 145.779,
      "range": "\u00b1 2.77021",
      "unit": "ns",
      "extra": "100 samples\n197 iterations"
     },
     {
      "name": "Fibonacci 20",
      "value": 19.9633,
      "range": "\u00b1 189.51",
      "unit": "us",
      "extra": "100 samples\n2 iterations"
     }
    ]
   },
   {
    "commit": {
     "id": "55f6195648a439356f785f3fc289298347c88417",
     "timestamp": "2024-05-19T13:24:33+02:00",
     "message": "redacted",
     "author": {
      "name": "redacted"
     }
    },
    "date": 1716118076563,
    "tool": "catch2",
    "benches": [
     {
      "name": "Fibonacci 10",
      "value": 145.52,
      "range": "\u00b1 2.01773",
      "unit": "ns",
      "extra": "100 samples\n197 iterations"
     },
     {
      "name": "Fibonacci 20",
      "value": 19.98,
      "range": "\u00b1 225.022",
      "unit": "us",
      "extra": "100 samples\n2 iterations"
     }
    ]
   },
   {
    "commit": {
     "id": "8deacbb847d12b43252e0a2dca86f3e5b3cafb66",
     "timestamp": "2024-06-19T21:49:25+02:00",
     "message": "redacted",
     "author": {
      "name": "redacted"
     }
    },
    "date": 1718826626171,
    "tool": "catch2",
    "benches": [
     {
      "name": "Fibonacci 10",
      "value": 146.206,
      "range": "\u00b1 1.9899",
      "unit": "ns",
      "extra": "100 samples\n197 iterations"
     },
     {
      "name": "Fibonacci 20",
      "value": 19.9726,
      "range": "\u00b1 211.812",
      "unit": "us",
      "extra": "100 samples\n2 iterations"
     }
    ]
   }
  ]
 }
}
