<?php
/**
 * Calls to the Aerie server, and what their failures mean to the owner of a site. An error is a WP_Error: its message says
 * what happened, its data lists what can be done.
 *
 * @package Aerie_Chat
 */

defined( 'ABSPATH' ) || exit;

/**
 * An address as somebody types it, without what does not belong there.
 *
 * @param string $typed Such as "https://chat.example/".
 * @return string|WP_Error
 */
function aerie_chat_read_server( $typed ) {
	$server = untrailingslashit( esc_url_raw( trim( $typed ), array( 'http', 'https' ) ) );
	$parts  = wp_parse_url( $server );
	if ( ! $parts || empty( $parts['host'] ) || isset( $parts['query'] ) || isset( $parts['fragment'] ) || isset( $parts['user'] ) ) {
		return new WP_Error(
			'server',
			__( 'The address of the server is not one that a browser could open.', 'aerie-chat' ),
			array( __( 'Write it as in the address bar, such as https://chat.example.com.', 'aerie-chat' ) )
		);
	}
	return $server;
}

/**
 * Registers this site: the server calls it back before it answers, which may take it some tries.
 *
 * @param string $server      From aerie_chat_read_server().
 * @param string $admin_email Who becomes the admin of the new team.
 * @return array|WP_Error What the server gave: tenant_id, api_key, chatbot_id.
 */
function aerie_chat_register_site( $server, $admin_email ) {
	$answer = aerie_chat_call(
		$server,
		'/api/v1/register',
		array(
			'site_url'       => aerie_chat_site_url(),
			'admin_email'    => $admin_email,
			'callback_token' => aerie_chat_begin_callback(),
		),
		90
	);
	$came   = aerie_chat_end_callback();
	if ( is_wp_error( $answer ) ) {
		return $answer;
	}
	if ( 400 === $answer['status'] ) {
		return aerie_chat_explain_refusal( $server, $answer['detail'], $came );
	}
	$error = aerie_chat_explain_status( $server, $answer );
	if ( $error ) {
		return $error;
	}
	foreach ( array( 'tenant_id', 'api_key', 'chatbot_id' ) as $name ) {
		if ( empty( $answer['json'][ $name ] ) || ! is_string( $answer['json'][ $name ] ) ) {
			return aerie_chat_not_aerie( $server );
		}
	}
	return $answer['json'];
}

/**
 * Asks whether credentials are good.
 *
 * @param string $server    From aerie_chat_read_server().
 * @param string $tenant_id The team's id.
 * @param string $api_key   The key, whole.
 * @return true|WP_Error The error's code is "refused" when they are not.
 */
function aerie_chat_validate( $server, $tenant_id, $api_key ) {
	$answer = aerie_chat_call( $server, '/api/v1/validate', compact( 'tenant_id', 'api_key' ), 10 );
	if ( is_wp_error( $answer ) ) {
		return $answer;
	}
	if ( 401 === $answer['status'] ) {
		return new WP_Error(
			'refused',
			__( 'The server does not accept the credentials of this site.', 'aerie-chat' ),
			array(
				__( 'The API key was revoked, or the team was switched off or deleted. Ask the admin of the team for a new key.', 'aerie-chat' ),
				__( 'With the new key: disconnect here, and connect with credentials that you have.', 'aerie-chat' ),
			)
		);
	}
	$error = aerie_chat_explain_status( $server, $answer );
	if ( $error ) {
		return $error;
	}
	return empty( $answer['json']['valid'] ) ? aerie_chat_not_aerie( $server ) : true;
}

/**
 * What the server says of the credentials, asked at most once a minute.
 *
 * @return array is_good, code, text, remedies, at: when it was asked.
 */
function aerie_chat_status() {
	$status = get_transient( 'aerie_chat_status' );
	if ( is_array( $status ) ) {
		return $status;
	}
	$site   = aerie_chat_site();
	$result = aerie_chat_validate( $site['server'], $site['tenant_id'], (string) get_option( 'aerie_chat_key' ) );
	$status = array(
		'is_good'  => true === $result,
		'code'     => is_wp_error( $result ) ? $result->get_error_code() : 'good',
		'text'     => is_wp_error( $result ) ? $result->get_error_message() : '',
		'remedies' => is_wp_error( $result ) ? (array) $result->get_error_data() : array(),
		'at'       => time(),
	);
	set_transient( 'aerie_chat_status', $status, MINUTE_IN_SECONDS );
	return $status;
}

/**
 * One POST of JSON.
 *
 * @param string $server  From aerie_chat_read_server().
 * @param string $path    Such as "/api/v1/validate".
 * @param array  $body    What is sent.
 * @param int    $timeout In seconds.
 * @return array|WP_Error status, json, detail (the server's own sentence, or empty), and the headers retry_after and location.
 */
function aerie_chat_call( $server, $path, array $body, $timeout ) {
	$response = wp_remote_post(
		$server . $path,
		array(
			'timeout'     => $timeout,
			'redirection' => 0,
			'headers'     => array(
				'Content-Type' => 'application/json',
				'Accept'       => 'application/json',
			),
			'body'        => wp_json_encode( $body ),
		)
	);
	if ( is_wp_error( $response ) ) {
		return aerie_chat_explain_network( $server, $response );
	}
	$json = json_decode( wp_remote_retrieve_body( $response ), true );
	$json = is_array( $json ) ? $json : array();
	return array(
		'status'      => (int) wp_remote_retrieve_response_code( $response ),
		'json'        => $json,
		'detail'      => isset( $json['detail'] ) && is_string( $json['detail'] ) ? $json['detail'] : '',
		'retry_after' => (int) wp_remote_retrieve_header( $response, 'retry-after' ),
		'location'    => (string) wp_remote_retrieve_header( $response, 'location' ),
	);
}

/**
 * Why no answer came.
 *
 * @param string   $server Whom we asked.
 * @param WP_Error $error  What WordPress says.
 * @return WP_Error
 */
function aerie_chat_explain_network( $server, WP_Error $error ) {
	$host = (string) wp_parse_url( $server, PHP_URL_HOST );
	if ( 'http_request_not_executed' === $error->get_error_code() ) {
		return new WP_Error(
			'blocked',
			__( 'This WordPress makes no calls to other servers: WP_HTTP_BLOCK_EXTERNAL is set.', 'aerie-chat' ),
			/* translators: %s: a host name */
			array( sprintf( __( 'Add %s to WP_ACCESSIBLE_HOSTS in wp-config.php, or ask your hoster to.', 'aerie-chat' ), $host ) )
		);
	}
	$remedies = array(
		__( 'Open the address in your browser: if that fails too, the address is wrong or the server is down.', 'aerie-chat' ),
		__( 'If your browser reaches it, this site\'s hoster does not let WordPress call it: ask for outgoing connections to that host and port.', 'aerie-chat' ),
	);
	if ( 0 === strpos( $server, 'https:' ) ) {
		$remedies[] = __( 'If the message speaks of a certificate: the server needs one that is issued for its name and not expired.', 'aerie-chat' );
	}
	return new WP_Error(
		'unreachable',
		/* translators: 1: an address, 2: an error message of the network */
		sprintf( __( 'The server at %1$s could not be reached: %2$s.', 'aerie-chat' ), $server, rtrim( $error->get_error_message(), '.' ) ),
		$remedies
	);
}

/**
 * What answered is another program.
 *
 * @param string $server Whom we asked.
 * @return WP_Error
 */
function aerie_chat_not_aerie( $server ) {
	return new WP_Error(
		'not_aerie',
		/* translators: %s: an address */
		sprintf( __( 'Something answers at %s, but it is not an Aerie server.', 'aerie-chat' ), $server ),
		array(
			__( 'Check the address, its port too. An address with a path is right only where the server is behind a proxy under that path.', 'aerie-chat' ),
			__( 'If a proxy or a firewall is in front of the server, it may ask for a password or show a page of its own: /api/ must pass.', 'aerie-chat' ),
		)
	);
}

/**
 * What an answer means that is the same for every call.
 *
 * @param string $server Whom we asked.
 * @param array  $answer From aerie_chat_call().
 * @return WP_Error|null Null when it went well.
 */
function aerie_chat_explain_status( $server, array $answer ) {
	$status = $answer['status'];
	if ( 200 === $status ) {
		return null;
	}
	if ( $status >= 300 && $status < 400 ) {
		return new WP_Error(
			'moved',
			/* translators: 1: an address, 2: another address */
			sprintf( __( 'The server at %1$s sends us on to %2$s.', 'aerie-chat' ), $server, $answer['location'] ),
			array( __( 'Enter the address that it is really at: most often https:// instead of http://.', 'aerie-chat' ) )
		);
	}
	if ( 429 === $status || 503 === $status ) {
		return new WP_Error(
			'busy',
			429 === $status
				? __( 'The server has had too many registrations from this address.', 'aerie-chat' )
				: __( 'The server is busy at this moment.', 'aerie-chat' ),
			/* translators: %d: a number of seconds */
			array( sprintf( __( 'Try again in %d seconds.', 'aerie-chat' ), max( 5, $answer['retry_after'] ) ) )
		);
	}
	if ( 422 === $status && '' !== $answer['detail'] ) {
		return aerie_chat_explain_fields( $answer );
	}
	if ( $status >= 500 || '' !== $answer['detail'] ) {
		return new WP_Error(
			'failed',
			/* translators: 1: an HTTP status, 2: what the server says */
			sprintf( __( 'The server answered %1$d: %2$s', 'aerie-chat' ), $status, '' === $answer['detail'] ? get_status_header_desc( $status ) : $answer['detail'] ),
			array( __( 'Try again in a minute. If it stays so, its operator finds the reason in the server\'s log.', 'aerie-chat' ) )
		);
	}
	return aerie_chat_not_aerie( $server );
}

/**
 * A field is wrong.
 *
 * @param array $answer From aerie_chat_call(), with the list "errors".
 * @return WP_Error
 */
function aerie_chat_explain_fields( array $answer ) {
	$wrong  = array();
	$errors = isset( $answer['json']['errors'] ) && is_array( $answer['json']['errors'] ) ? $answer['json']['errors'] : array();
	foreach ( $errors as $error ) {
		if ( is_array( $error ) && isset( $error['field'], $error['message'] ) && is_string( $error['field'] ) && is_string( $error['message'] ) ) {
			$wrong[ $error['field'] ] = $error['field'] . ': ' . $error['message'];
		}
	}
	$remedies = array_values( $wrong );
	if ( isset( $wrong['site_url'] ) ) {
		/* translators: %s: an address */
		$remedies[] = sprintf( __( 'This site says that it is at %s (Settings → General). The server must be able to reach it there.', 'aerie-chat' ), aerie_chat_site_url() );
		$remedies[] = aerie_chat_egress_remedy();
	}
	return new WP_Error( 'field', __( 'The server does not accept what was sent.', 'aerie-chat' ), $remedies );
}

/**
 * For an operator whose server and site are in one network.
 *
 * @return string
 */
function aerie_chat_egress_remedy() {
	return sprintf(
		/* translators: %s: a configuration key with an example value */
		__( 'If site and server share a machine or a private network: the server calls no inner addresses unless its operator allows them, with %s.', 'aerie-chat' ),
		'EGRESS__ALLOW=127.0.0.0/8,::1,localhost'
	);
}

/**
 * Why the server registered nothing.
 *
 * @param string $server Whom we asked.
 * @param string $detail The server's sentence.
 * @param string $came   From aerie_chat_end_callback().
 * @return WP_Error
 */
function aerie_chat_explain_refusal( $server, $detail, $came ) {
	$by_hand = __( 'If you are its admin: sign in to the server\'s console, make an API key for its agent, and connect with credentials that you have, below.', 'aerie-chat' );
	if ( 'Site URL already registered' === $detail ) {
		return new WP_Error(
			'site_taken',
			/* translators: %s: an address */
			sprintf( __( 'The server knows a site at %s already.', 'aerie-chat' ), aerie_chat_site_url() ),
			array( $by_hand, __( 'If not: ask the operator of the server for the ids of team and agent and a new API key, and connect with these.', 'aerie-chat' ) )
		);
	}
	if ( 'Admin email already associated with another tenant' === $detail ) {
		return new WP_Error(
			'email_taken',
			__( 'This e-mail address is the admin of another site on that server.', 'aerie-chat' ),
			array( __( 'Each site has an admin of its own: use another address.', 'aerie-chat' ) )
		);
	}
	if ( false === strpos( $detail, 'callback' ) ) {
		return '' === $detail ? aerie_chat_not_aerie( $server ) : new WP_Error( 'failed', $detail, array() );
	}
	if ( 'right' === $came ) {
		return new WP_Error(
			'answer_spoilt',
			__( 'The server called this site back, but our answer did not reach it whole.', 'aerie-chat' ),
			array(
				__( 'Another plugin or a proxy may add text to answers of the REST API: look into debug.log for warnings that are printed.', 'aerie-chat' ),
				__( 'A slow site may answer too late: try again.', 'aerie-chat' ),
			)
		);
	}
	if ( 'wrong' === $came ) {
		return new WP_Error(
			'stranger_called',
			__( 'The server called this site back with a token that is not from this registration.', 'aerie-chat' ),
			array( __( 'Two registrations ran at the same time, in two windows perhaps. Try again, once.', 'aerie-chat' ) )
		);
	}
	return new WP_Error(
		'no_callback',
		/* translators: %s: an address */
		sprintf( __( 'The server could not call this site back at %s: the call did not arrive here.', 'aerie-chat' ), rest_url( 'eaglechat-plugin/v1/verify' ) ),
		array(
			__( 'A firewall or a hoster\'s protection against robots may have stopped it: let the server\'s address through.', 'aerie-chat' ),
			__( 'A password in front of the site (basic auth, as on many test sites) stops it as well: take it away while you register, or leave /wp-json/ out of it.', 'aerie-chat' ),
			__( 'A plugin for security, maintenance or "coming soon" may close the REST API to guests: make an exception for eaglechat-plugin/v1.', 'aerie-chat' ),
			__( 'The site\'s address must be known outside (not "localhost"), lead here without a redirect, and have a valid certificate if it is https.', 'aerie-chat' ),
			aerie_chat_egress_remedy(),
		)
	);
}
