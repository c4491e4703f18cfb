<?php
// The web server before a WordPress of the tests. Files beside the site say how it behaves: "no-rewriting" as one that hands only what
// is there to PHP, "password" as one that lets
// in only who has one, as the owner's browser does.
$state = getenv( 'AERIE_WORDPRESS_STATE' );
$path  = rawurldecode( parse_url( $_SERVER['REQUEST_URI'], PHP_URL_PATH ) );
$root  = $_SERVER['DOCUMENT_ROOT'];

if ( file_exists( "$state/password" ) && ! isset( $_SERVER['HTTP_COOKIE'] ) ) {
	header( 'WWW-Authenticate: Basic realm="site"', true, 401 );
	return true;
}
if ( is_dir( $root . $path ) && '/' === substr( $path, -1 ) ) {
	$path .= 'index.php';
}
if ( is_file( $root . $path ) && '.php' !== substr( $path, -4 ) ) {
	return false;
}
if ( ! is_file( $root . $path ) ) {
	if ( file_exists( "$state/no-rewriting" ) ) {
		http_response_code( 404 );
		return true;
	}
	$path = '/index.php';
}
$_SERVER['SCRIPT_NAME']     = $path;
$_SERVER['PHP_SELF']        = $path;
$_SERVER['SCRIPT_FILENAME'] = $root . $path;
chdir( dirname( $root . $path ) );
require $root . $path;
