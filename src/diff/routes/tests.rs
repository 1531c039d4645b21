use super::*;

fn learned(written: RouteTemplates, targets: &[String]) -> Routes {
    let mut learner = RouteLearner::new(written);
    for target in targets {
        learner.observe(b"GET", b"api", target.as_bytes());
    }
    learner.learned()
}

fn names(n: usize) -> Vec<String> {
    (0..n)
        .map(|i| {
            ["ada", "bo", "cy", "di", "ed"][i % 5].to_owned() + ["lyn", "ron", "ta", "mund", "gar"][i / 5]
        })
        .collect()
}

fn route(routes: &Routes, target: &str) -> String {
    routes.route(b"GET", b"api", target.as_bytes()).into_owned()
}

#[test]
fn names_of_people_are_one_route_and_words_stay() {
    let mut targets: Vec<String> = Vec::new();
    for name in names(20) {
        targets.push(format!("/users/{name}/profile"));
        targets.push(format!("/users/{name}/orders/17"));
    }
    targets.extend((0..30).map(|_| "/users/me/profile".to_owned()));
    for word in ["orders", "carts", "items", "health"] {
        targets.extend((0..9).map(|n| format!("/api/{word}/{n}")));
    }
    let routes = learned(RouteTemplates::default(), &targets);
    assert_eq!(route(&routes, "/users/adalyn/profile?x"), "/users/{user}/profile");
    assert_eq!(route(&routes, "/users/edmund/orders/3"), "/users/{user}/orders/{number}");
    assert_eq!(route(&routes, "/users/me/profile"), "/users/me/profile");
    assert_eq!(route(&routes, "/api/orders/1"), "/api/orders/{number}");
    assert_eq!(route(&routes, "/api/carts/1"), "/api/carts/{number}");
    assert!(!routes.is_neutral());
    // Whatever the order.
    targets.reverse();
    let reversed = learned(RouteTemplates::default(), &targets);
    for target in &targets {
        assert_eq!(route(&routes, target), route(&reversed, target));
    }
}

#[test]
fn titles_and_many_names_are_open() {
    let mut targets: Vec<String> = names(20).iter().map(|name| format!("/blog/how-to-{name}")).collect();
    targets.extend(
        (0..120).map(|n| format!("/tags/{}{}", char::from(b'a' + n % 26), char::from(b'a' + n / 26))),
    );
    let routes = learned(RouteTemplates::default(), &targets);
    assert_eq!(route(&routes, "/blog/how-to-adalyn"), "/blog/{name}");
    assert_eq!(route(&routes, "/tags/aa"), "/tags/{tag}");
}

/// Ids of eleven characters of base64url, as video sites have them, and shorter ones.
#[test]
fn few_ids_are_known_by_their_form() {
    let of = |names: &[&str]| -> Routes {
        let targets: Vec<String> = names.iter().map(|name| format!("/v/{name}")).collect();
        learned(RouteTemplates::default(), &targets)
    };
    // Two of them are enough, however often each is asked for; words beside them stay.
    let routes =
        of(&["dQw4w9WgXcQ", "dQw4w9WgXcQ", "9bZkp7q19f0", "KmtzQCSh6xk", "trending", "v1beta1", "Trends"]);
    for (name, route) in [
        ("dQw4w9WgXcQ", "/v/{name}"),
        ("9bZkp7q19f0", "/v/{name}"),
        // Of the same form, although it might be words.
        ("KmtzQCSh6xk", "/v/{name}"),
        ("jNQXAC9IVRw", "/v/{name}"),
        ("trending", "/v/trending"),
        ("v1beta1", "/v/v1beta1"),
        ("Trends", "/v/Trends"),
    ] {
        assert_eq!(self::route(&routes, &format!("/v/{name}?t=1")), route, "{name}");
    }
    // One, where nothing else can look so.
    assert_eq!(route(&of(&["dQw4w9WgXcQ"; 5]), "/v/dQw4w9WgXcQ"), "/v/{name}");
    let videos: Vec<String> = ["a8f3k2", "k3j9x2"].iter().map(|id| format!("/videos/{id}/likes")).collect();
    let routes = learned(RouteTemplates::default(), &videos);
    assert_eq!(route(&routes, "/videos/a8f3k2/likes"), "/videos/{video}/likes");
}

#[test]
fn words_with_digits_are_no_ids() {
    let words = [
        "iPhone12Pro",
        "v1beta2",
        "v1Beta2",
        "getUserById",
        "h264",
        "mp3tomp4",
        "x86_64",
        "utf8mb4",
        "sha256sum",
        "OAuth2Callback",
        "s3Bucket",
        "2fa",
        "covid19",
        "WebGL2",
        "area51",
        "B2B",
        "ISO8601",
        "IPv6",
        "k8s",
        "i18n",
        "e2eTests",
        "CamelCaseName",
        "SCREAMING_CASE",
        "kebab-case-9",
        "3dModels",
        "co2",
        "HTTP2Settings",
        "AppV2",
    ];
    let targets: Vec<String> = words.iter().map(|word| format!("/{word}/x{word}")).collect();
    let routes = learned(RouteTemplates::default(), &targets);
    for word in words {
        assert_eq!(route(&routes, &format!("/{word}")), format!("/{word}"));
    }
}

#[test]
fn few_words_are_neutral() {
    let targets: Vec<String> = ["/api/orders", "/api/carts", "/x/1"].map(str::to_owned).to_vec();
    assert!(learned(RouteTemplates::default(), &targets).is_neutral());
}

#[test]
fn the_templates_of_the_user_come_first() {
    let template = |template: &str, host: Option<&str>| RouteTemplate {
        template: template.into(),
        method: None,
        host: host.map(str::to_owned),
    };
    let written = RouteTemplates::new(vec![
        template("/{tenant}/orders/{order}", None),
        template("/only/there", Some("other")),
    ])
    .unwrap();
    let routes = learned(written, &[]);
    assert_eq!(route(&routes, "/acme/orders/1?x"), "/{tenant}/orders/{order}");
    assert_eq!(route(&routes, "/acme/orders/1/2"), "/acme/orders/{number}/{number}");
    assert!(RouteTemplates::new(vec![template("orders", None)]).is_err());
}

#[test]
fn memory_is_bounded() {
    let mut learner = RouteLearner::default();
    for n in 0..150_000u32 {
        let word: String = n.to_string().bytes().map(|b| char::from(b - b'0' + b'a')).collect();
        learner.observe(b"GET", b"api", format!("/{word}/x").as_bytes());
    }
    assert!(learner.forest.size() <= 100_000 && learner.met.len() <= MOST_MET);
    assert_eq!(route(&learner.learned(), "/bcd/x"), "/{name}/x");
}

proptest::proptest! {
    /// However many requests one behind the other are alike.
    #[test]
    fn each_request_is_counted(
        requests in proptest::collection::vec((0_usize..3, 0_usize..2, 1_u64..5), 1..30),
    ) {
        let written = RouteTemplate { template: "/mine/{id}".to_owned(), method: None, host: None };
        let mut learner = RouteLearner::new(RouteTemplates::new(vec![written]).unwrap());
        let mut expected = std::collections::BTreeMap::<_, u64>::new();
        for (target, host, times) in requests {
            let (path, route) = [("/x/1", "/x/{number}"), ("/x/y", "/x/y"), ("/mine/1", "/mine/{id}")][target];
            let host = ["api", "shop"][host];
            for _ in 0..times {
                learner.observe(b"GET", host.as_bytes(), path.as_bytes());
                proptest::prop_assert_eq!(learner.before(), route);
            }
            if target < 2 {
                *expected.entry((format!("GET {host}").into_bytes(), route.to_owned())).or_default() += times;
            }
        }
        learner.count_again();
        let met: std::collections::BTreeMap<_, _> = learner.met.into_iter().collect();
        proptest::prop_assert_eq!(met, expected);
    }
}
